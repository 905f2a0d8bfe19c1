"""Errata 7, 8, 16 and on: legends, misprints, tables that public numbers do not bear out."""

from collections.abc import Iterator

import pandas as pd

from .. import frames
from ..claims.checks import printed_number
from ..data import Published
from ..table_check import check_tables
from ..tables import prediction
from .model import Erratum, Evidence


def legend(published: Published) -> Iterator[Evidence]:
    rows = frames.points(published, frames.IMAGENET)
    for row in rows[rows["family"] == "CLIP-WIT"].itertuples():
        yield Evidence(
            f"{row.architecture} of CLIP-WIT: ImageNet error of the point at {row.compute:.3g} GMAC",
            100 * row.error,
            "%",
            "scores.csv",
        )


def misprint(published: Published) -> Iterator[Evidence]:
    predicted = prediction(published, "21", "ViT-H-14", "68B")
    measured = printed_number(published, "4", "H/14 34B", "mscoco_image_r5")
    yield Evidence(
        "ViT-H/14 at 68B samples, MS-COCO image recall at 5: the paper's fit",
        predicted,
        "%",
        "scores.csv",
        paper="75.10 in the text",
    )
    yield Evidence(
        "the same in Table 4",
        printed_number(published, "4", "H/14 68B", "mscoco_image_r5"),
        "%",
        "printed_tables.csv",
        paper="75.03",
    )
    yield Evidence("gain over 34B", predicted - measured, "pp", "scores.csv", paper="+1.60")


def public_imagenet(published: Published) -> pd.DataFrame:
    """Every public ImageNet top-1 of a model after training: run, where, value (fraction)."""
    scores = published.scores
    released = scores[(scores["dataset"] == "imagenet1k") & (scores["metric"] == "acc1")][["run", "value"]]
    ends = published.learning_curves.sort_values("epoch").groupby("run", as_index=False).last()
    joint = published.joint_fine_tuning
    joint = joint[(joint["task"] == "joint_zeroshot") & (joint["dataset"] == "imagenet1k")]
    parts = [
        released.assign(where="scores.csv"),
        ends[["run", "acc1"]].rename(columns={"acc1": "value"}).assign(where="learning_curves.csv"),
        joint[["run", "acc1"]].rename(columns={"acc1": "value"}).assign(where="Table 6"),
    ]
    return pd.concat(parts, ignore_index=True)


def controls(published: Published) -> Iterator[Evidence]:
    values = public_imagenet(published)["value"]
    printed = published.printed_tables
    told = published.controls.merge(_printed_controls(printed), on=["table", "value"], how="left")
    for value, rows in told.groupby("value", sort=True):
        digits = rows["digits"].iloc[0]
        known = ((100 * values - 100 * value).abs() <= 0.5 * 10.0**-digits * (1 + 1e-6)).sum()
        tables = ", ".join(str(table) for table in sorted(rows["table"].unique()))
        yield Evidence(
            f"public ImageNet scores that round to {100 * value:.{digits}f} (Table {tables})",
            known,
            "scores",
            "controls.csv",
        )


def _printed_controls(printed: pd.DataFrame) -> pd.DataFrame:
    rows = printed[printed["table"].isin(["12", "13", "14", "15"])]
    digits = [len(cell.partition(".")[2]) for cell in rows["printed"]]
    made = pd.DataFrame(
        {"table": rows["table"].astype("Int64"), "value": rows["printed"].astype(float) / 100, "digits": digits}
    )
    return made.round({"value": 6}).drop_duplicates(["table", "value"])


def fine_tuning(published: Published) -> Iterator[Evidence]:
    rows = published.imagenet_fine_tuning.dropna(subset=["printed"])
    apart = 100 * (rows["timm"] - rows["printed"]).abs()
    for said, chosen in (("at 224 px", rows["image_size"] == 224), ("above 224 px", rows["image_size"] > 224)):
        yield Evidence(
            f"Table 9 {said}: largest difference from timm over {chosen.sum()} cells",
            apart[chosen].max(),
            "pp",
            "imagenet_fine_tuning.csv",
        )
    worst = rows.loc[apart.idxmax()]
    yield Evidence(
        f"the largest, {worst['model']} on {worst['dataset']}: timm",
        100 * worst["timm"],
        "%",
        "imagenet_fine_tuning.csv",
        paper=f"{100 * worst['printed']:.2f}",
    )


def controls_and_fine_tuning(published: Published) -> Iterator[Evidence]:
    yield from controls(published)
    yield from fine_tuning(published)


def cut_off(published: Published) -> Iterator[Evidence]:
    cells = check_tables(published)
    for cell in cells[(cells["table"] == "25") & (cells["within_rounding"] == "no")].itertuples():
        yield Evidence(
            f"Table 25, {cell.row}, {cell.column}: released value",
            cell.recomputed,
            "million",
            "architectures.csv",
            paper=cell.paper,
        )


def image_counts(published: Published) -> Iterator[Evidence]:
    """A score of n images is a whole multiple of 1/n: which released scores are not, for Table 26's n."""
    scores = published.scores[published.scores["metric"].str.match("acc1$|.*recall@5$")].dropna(subset=["n_items"])
    hits = scores["value"] * scores["n_items"].astype(float)
    off = scores[(hits - hits.round()).abs() > 0.01]  # float32 recalls of 25,010 captions are off by 0.001
    yield Evidence(
        f"scores of {len(scores)} that no whole number of its printed test size gives", len(off), "scores", "scores.csv"
    )
    for dataset, rows in off.groupby("dataset"):
        size = int(rows["n_items"].iloc[0])
        fewer = rows["value"] * (size - 1)
        agree = ((fewer - fewer.round()).abs() < 1e-3).sum()
        yield Evidence(
            f"{dataset}: models whose score fits {size - 1} images, not {size}",
            agree,
            "models",
            "scores.csv",
            paper=str(size),
        )


ERRATA = (
    Erratum(
        7, "Figure 1's legend pairs the colours of CLIP with the wrong architectures; the points are these", legend
    ),
    Erratum(8, "The text gives 75.10 where Table 4 has 75.03", misprint),
    Erratum(
        16, "Controls of Tables 12 to 15 are in no public file; Table 9 differs from timm", controls_and_fine_tuning
    ),
    Erratum(17, "Activations of ViT-G/14 in Table 25 are cut off, not rounded", cut_off),
    Erratum(18, "Some models were scored on one image fewer than Table 26 says", image_counts),
)

"""Tables of the published study: the paper's tables beside what was recomputed, claims, errata."""

import re

import pandas as pd

from ..charts.html_table import HtmlTable, compared, table
from ..core import paths
from ..core.cells import read_cells
from ..core.errors import UserError
from ..core.result_tables import RESULT_TABLES
from ..core.schema import validate
from ..core.wording import interval, minus, number, with_interval
from .tables import download

STUDY = "published"
_TITLES = {
    "1": "Best performance",
    "2": "LAION datasets",
    "3": "Near-duplicates between LAION-400M and evaluation sets",
    "4": "Predictions of larger models",
    "5": "Linear probing",
    "6": "Zero-shot accuracy of the tasks tuned jointly",
    "7": "Joint fine-tuning",
    "8": "Joint fine-tuning, patched",
    "9": "ImageNet fine-tuning",
    "10": "Hyper-parameters of ImageNet fine-tuning",
    "11": "Hyper-parameters of ImageNet-12k fine-tuning",
    "12": "Control: batch size",
    "13": "Control: a subset of LAION-2B",
    "14": "Control: trial variance",
    "15": "Control: sampling with replacement",
    "16": "VTAB+ mean",
    "17": "VTAB+ by task",
    "18": "Hyper-parameters and resources",
    "19": "ImageNet",
    "20": "ImageNet robustness",
    "21": "MS-COCO image retrieval",
    "22": "MS-COCO text retrieval",
    "23": "Flickr30K image retrieval",
    "24": "Flickr30K text retrieval",
    "25": "Architectures",
    "26": "Evaluation sets",
    "hidden": "VTAB mean (a table commented out in the paper's source)",
}
# Columns of the transcribed tables whose names are short for something.
_COLUMNS = {
    "IN": "ImageNet",
    "IN_ReaL": "ReaL",
    "IN_V2": "v2",
    "IN_A": "A",
    "IN_R": "R",
    "IN_Sketch": "Sketch",
    "abbr": "short name",
    "access": "access",
    "acts_m": "activations (M)",
    "bs_global": "batch",
    "bs_per_gpu": "batch per GPU",
    "cifar100_10shot": "CIFAR-100, 10 per class",
    "cifar100_25shot": "CIFAR-100, 25 per class",
    "cifar100_full": "CIFAR-100, full set",
    "coco_image_retrieval_r5": "MS-COCO image Recall@5",
    "depth_img": "depth, image",
    "depth_txt": "depth, text",
    "emb": "embedding",
    "flickr30k_image_r5": "Recall@5",
    "flickr30k_text_r5": "Recall@5",
    "full_shuffle_trial1": "full shuffle, trial 1",
    "full_shuffle_trial2": "full shuffle, trial 2",
    "gmac": "GMAC",
    "gpu_h": "GPU-hours",
    "gpus": "GPUs",
    "imagenet_10shot": "ImageNet, 10 per class",
    "imagenet_25shot": "ImageNet, 25 per class",
    "imagenet_full": "ImageNet, full set",
    "imagenet_robustness_top1": "top-1, mean of 5 sets",
    "imagenet_top1": "ImageNet top-1",
    "imagenet_zs_top1": "ImageNet top-1",
    "large_bs(64k for B/16; 86k else, +lr tune)": "large batch (64k for B/16, else 86k, learning rate tuned)",
    "lr": "learning rate",
    "mscoco_image_r5": "MS-COCO image Recall@5",
    "mscoco_text_r5": "Recall@5",
    "mwh": "MWh",
    "n_classes": "classes",
    "n_english_pairs": "English pairs",
    "overlap_pct_with_LAION400M": "near-duplicates (%)",
    "params": "parameters (M)",
    "params_m": "parameters (M)",
    "small_bs(32k; 38k for L/14)": "small batch (32k, 38k for L/14)",
    "test_size": "test images",
    "time_h": "hours",
    "vtab": "VTAB",
    "vtab19_avg": "VTAB, mean of 19",
    "vtab_plus_avg": "VTAB+ mean",
    "width_img": "width, image",
    "width_txt": "width, text",
}


def read(name: str) -> pd.DataFrame:
    """results/published/<name>.csv as text, blank cells empty. Raises UserError for a broken one, too."""
    file = paths.results(STUDY) / f"{name}.csv"
    if not file.is_file():
        raise UserError(
            "no such table", where=file, mend="run `clip-scaling published`, then `clip-scaling published claims`"
        )
    frame = read_cells(file).replace(r"^\s+$", "", regex=True)
    validate(frame, RESULT_TABLES[name], where=file)
    return frame


def paper_tables(first: int, last: int) -> HtmlTable:
    """Tables `first` to `last` of the paper, cell by cell beside what was recomputed."""
    cells = read("table_check")
    numbers = [str(number) for number in range(first, last + 1)] + (["hidden"] if last >= 26 else [])
    shown = [
        _paper_table(cells[cells["table"] == number], number) for number in numbers if (cells["table"] == number).any()
    ]
    return HtmlTable("\n".join(part.content for part in shown))


def _paper_table(cells: pd.DataFrame, number: str) -> HtmlTable:
    checked = cells[cells["recomputed"] != ""]
    within = (checked["within_rounding"] == "yes").sum()
    said = (
        f"{len(checked)} of {len(cells)} cells recomputed, {within} of these equal within the printed rounding"
        if len(checked)
        else "stands on the transcription alone: no public data to recompute it from"
    )
    name = "Hidden table" if number == "hidden" else f"Table {number}"
    # Table 9 says None where no other set came between pre-training and ImageNet.
    shown = cells.assign(row=cells["row"].str.removesuffix(" None"))
    caption = f"{name} of the paper. {_TITLES.get(number, '')}: {said}."
    return compared(shown, caption, download(STUDY, "table_check"), titles=_COLUMNS)


def claims() -> HtmlTable:
    """Every numeric claim with its verdict."""
    rows = read("claims")
    counts = rows["verdict"].value_counts()
    said = ", ".join(f"{name} {counts[name]}" for name in counts.index)
    shown = pd.DataFrame(
        {
            "claim": rows["id"] + ". " + rows["claim"],
            "paper says": rows["paper"].map(minus),
            "recomputed": rows["recomputed"].map(minus),
            "verdict": rows["verdict"],
            "place": rows["where"].map(_place),
            "note": rows["note"].map(minus),
        }
    )
    return table(
        shown, f"{len(rows)} claims by verdict: {said}.", download=download(STUDY, "claims"), below=("place", "note")
    )


def _place(where: str) -> str:
    """Sec4.1 and App B.1 are Section 4.1 and Appendix B.1 to a reader."""
    for short, whole in (("Sec", "Section "), ("Fig", "Figure "), ("App", "Appendix")):
        where = re.sub(rf"\b{short}(?=\d|\b)", whole, where)
    return where


def claim_counts() -> HtmlTable:
    """How many claims have each verdict."""
    counts = read("claims")["verdict"].value_counts().rename_axis("verdict").reset_index(name="claims")
    return table(counts, "Verdicts.", download=download(STUDY, "claims"))


def errata() -> HtmlTable:
    """Where the paper, its released files and this project differ, point by point with the evidence recomputed."""
    rows = read("errata")
    parts = [_point(point, own) for point, own in rows.groupby("erratum", sort=False)]
    return HtmlTable("\n".join(part.content for part in parts))


def _point(point: str, rows: pd.DataFrame) -> HtmlTable:
    shown = pd.DataFrame(
        {
            "evidence": rows["evidence"].map(minus),
            "recomputed": [_measured(one) for one in rows.to_dict("records")],
            "paper says": rows["paper"].map(minus),
            "source": "from " + rows["source"],
        }
    )
    said = f"{point}. {rows['topic'].iloc[0]}."
    if shown["source"].nunique() == 1:
        said += f" All {shown.pop('source').iloc[0]}."
    if not (rows["paper"] != "").any():
        shown = shown.drop(columns="paper says")
    link = download(STUDY, "errata")
    numbers, below = ("recomputed", "paper says"), tuple(name for name in ("source",) if name in shown)
    return table(shown, said, download=link, numeric=numbers, below=below)


def _measured(row: dict) -> str:
    """Value, unit and 95 % interval; four digits are enough to read, the CSV has all."""
    try:
        value = number(float(row["value"]))
    except ValueError:
        value = row["value"]
    between = interval(float(row["low"]), float(row["high"])) if row["low"] and row["high"] else ""
    return with_interval(f"{value}\u00a0{row['unit']}".strip(), between)

"""Tables of the published study: the paper's tables beside what was recomputed, claims, errata."""

import shutil

import pandas as pd

from ..charts.html_table import HtmlTable, compared, table
from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path

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


def read(name: str) -> pd.DataFrame:
    """results/published/<name>.csv as text. Raises UserError."""
    file = paths.results(STUDY) / f"{name}.csv"
    if not file.is_file():
        raise UserError(
            "no such table", where=file, mend="run `clip-scaling published`, then `clip-scaling published claims`"
        )
    target = paths.figures(STUDY) / f"{name}.csv"
    with atomic_path(target) as temporary:  # beside the page, to download
        shutil.copyfile(file, temporary)
    return pd.read_csv(file, dtype=str, keep_default_na=False)


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
    return compared(cells, f"{name}. {_TITLES.get(number, '')}: {said}.", "table_check.csv")


def claims() -> HtmlTable:
    """Every numeric claim with its verdict."""
    rows = read("claims")
    counts = rows["verdict"].value_counts()
    said = ", ".join(f"{counts[name]} {name}" for name in counts.index)
    order = ["id", "verdict", *(name for name in rows if name not in ("id", "verdict"))]
    return table(
        rows[order],
        f"{len(rows)} claims: {said}.",
        download="claims.csv",
        titles={"id": "no.", "where": "place", "paper": "paper says"},
    )


def claim_counts() -> HtmlTable:
    """How many claims have each verdict."""
    counts = read("claims")["verdict"].value_counts().rename_axis("verdict").reset_index(name="claims")
    return table(counts, "Verdicts.", download="claims.csv")


def errata() -> HtmlTable:
    """Where the paper, its released files and this project differ, point by point with the evidence recomputed."""
    rows = read("errata")
    rows["95 % interval"] = [
        f"{low} to {high}" if low else "" for low, high in zip(map(_short, rows["low"]), map(_short, rows["high"]))
    ]
    rows["value"] = rows["value"].map(_short)
    shown = ["evidence", "value", "unit", "95 % interval", "paper", "source"]
    parts = [
        _point(number, own[[name for name in shown if (own[name] != "").any()]], own["topic"].iloc[0])
        for number, own in rows.groupby("erratum", sort=False)
    ]
    return HtmlTable("\n".join(part.content for part in parts))


def _point(number: str, rows: pd.DataFrame, topic: str) -> HtmlTable:
    return table(rows, f"{number}. {topic}.", download="errata.csv", numeric=("value",), titles={"paper": "paper says"})


def _short(number: str) -> str:
    """Four digits are enough to read; the CSV has all."""
    try:
        return f"{float(number):.4g}" if abs(float(number)) < 1e5 else f"{float(number):,.0f}"
    except ValueError:
        return number

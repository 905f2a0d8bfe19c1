"""What a caption says, and the rows that a figure's CSV holds."""

import pandas as pd

from ..core.wording import number
from .tables import StudyTables

_COLUMNS = [
    "panel",
    "run",
    "family",
    "subset",
    "architecture",
    "samples_seen",
    "unique_samples",
    "compute",
    "error",
    "standard_error",
    "fitted",
]
_HOLLOW = " Hollow points are left out of the fit (left_out.csv says why)."


def caption(tables: StudyTables, what: str, points: pd.DataFrame, fits: str) -> str:
    """What is shown, of how many models, which fit and interval, and which stage and table made it."""
    models, panels = points["run"].nunique(), list(dict.fromkeys(points["panel"]))
    where = f"results/{tables.study}/"
    hollow = _HOLLOW if "fitted" in points and (points["fitted"] == "left out").any() else ""
    stages = "published and fit" if tables.published else "evaluate, collect and fit"
    return (
        f"{what} {models} models of the {tables.study} study; panels: {'; '.join(panels)}. {fits}{hollow} "
        f"Stages {stages}; tables {where}runs.csv, scores.csv and laws.csv."
    )


def rows_of(points: pd.DataFrame, *more: str) -> pd.DataFrame:
    """The plotted rows, without columns that say nothing here."""
    return points[[name for name in dict.fromkeys([*_COLUMNS, *more]) if name in points]].reset_index(drop=True)


def trend(points: pd.DataFrame) -> str:
    """Where the error begins and ends, so that a reader who does not see the chart knows its outcome."""
    said = []
    for panel, group in points.groupby("panel", sort=False):
        ordered = group.sort_values("compute")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        said.append(
            f"{panel}: {first['error']:.0%} at {number(first['compute'], 2)} GMAC, {last['error']:.0%} at "
            f"{number(last['compute'], 2)} GMAC"
        )
    return "; ".join(said) + "."

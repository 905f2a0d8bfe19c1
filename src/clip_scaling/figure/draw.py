"""One function a figure: read the study's tables, draw, save. Notebooks call these and nothing else."""

import pandas as pd

from ..charts import save, scaling
from . import fitted
from .tables import StudyTables, load
from .targets import classification_targets, points_of, retrieval_targets, shown

SOURCE = "Stages evaluate, collect and fit; tables results/{study}/runs.csv, scores.csv and laws.csv."


def zero_shot(study: str) -> save.Figure:
    """Zero-shot classification error against compute (paper, Figure 1a)."""
    tables = load(study)
    return _scaling_figure(tables, classification_targets(tables), "zero_shot", "zero-shot error (%)",
                           "Zero-shot classification error against total compute")


def retrieval(study: str) -> save.Figure:
    """Image retrieval, 100 - Recall@5, against compute (paper, Figure 1b); text retrieval beside it."""
    tables = load(study)
    return _scaling_figure(tables, retrieval_targets(tables), "retrieval", "100 − Recall@5 (%)",
                           "Retrieval error against total compute")


def _scaling_figure(tables: StudyTables, targets: list[fitted.Target], name: str, axis: str, what: str) -> save.Figure:
    points = points_of(tables, targets)
    fits = fitted.power_laws(tables.laws, targets)
    chart = scaling.error_against_compute(points, fitted.lines(fits, points), error_title=axis)
    models = points["run"].nunique()
    caption = (f"{what}: {models} models of the {shown(tables.study)} study on {', '.join(dict.fromkeys(points['panel']))}. "
               f"{fitted.sentences(fits)} {SOURCE.format(study=tables.study)}")
    return save.save_figure(chart, name, tables.study, caption=caption, rows=_rows(points), notebook=name,
                            alt_text=f"{what}, {models} models: {_trend(points)}")


def _rows(points: pd.DataFrame) -> pd.DataFrame:
    keep = ["panel", "run", "family", "subset", "architecture", "samples_seen", "unique_samples", "compute", "error",
            "standard_error"]
    return points[[column for column in keep if column in points]]


def _trend(points: pd.DataFrame) -> str:
    """Where the error begins and ends, so that a reader who does not see the chart knows its outcome."""
    said = []
    for panel, group in points.groupby("panel", sort=False):
        ordered = group.sort_values("compute")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        said.append(f"{panel}: {first['error']:.0%} at {first['compute']:.1e} GMAC, {last['error']:.0%} at "
                    f"{last['compute']:.1e} GMAC")
    return "; ".join(said) + "."

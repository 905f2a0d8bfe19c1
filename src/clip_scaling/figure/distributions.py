"""Figures that compare pre-training distributions: exponents set by set, and models of equal budget."""

import pandas as pd

from ..charts import intervals, save
from . import fitted, targets
from .caption import rows_of
from .tables import StudyTables, load


def exponents(study: str) -> save.Figure:
    """The exponent of each pre-training distribution, set by set, with intervals (paper, Section 4.2)."""
    laws = _laws(load(study))
    laws = laws[laws["alpha"].notna()]
    what = "Exponent of the power law by pre-training distribution, with its 95 % interval,"
    return save.save_figure(
        intervals.exponents(laws),
        "distributions",
        study,
        rows=laws,
        notebook="distributions",
        laws=fitted.law_table(laws),
        caption=f"{what} for {laws['panel'].nunique()} evaluation sets."
        f"{intervals.beyond(laws)} Stage fit; table results/{study}/laws.csv.",
        alt_text=f"{what} "
        + "; ".join(f"{law.panel}, {law.family}: {law.alpha:.3f}" for law in laws.itertuples())
        + ".",
    )


def _laws(tables: StudyTables) -> pd.DataFrame:
    """The power law of each distribution on each headline set."""
    chosen = [*targets.classification(tables), *targets.retrieval(tables)]
    return fitted.power_laws(tables.laws, chosen, tables.power_form)


def equal_budgets(study: str) -> save.Figure:
    """Models of equal architecture, budget and number of pairs that differ in their pre-training distribution alone."""
    tables = load(study)
    cells = matched_cells(tables.runs)
    chosen = [*targets.classification(tables), *targets.retrieval(tables, kinds=("image",))]
    points = targets.points_of(tables, chosen).merge(cells, on="run")
    score = 1 - points["error"]
    rows = points.assign(
        score=score,
        low=(score - 1.96 * points["standard_error"]).clip(lower=0),
        high=(score + 1.96 * points["standard_error"]).clip(upper=1),
    )
    families = ", ".join(sorted(set(rows["family"])))
    what = f"Scores of models that differ in their pre-training distribution alone ({families}),"
    return save.save_figure(
        intervals.scores(rows),
        "equal_budgets",
        study,
        rows=rows_of(rows, "cell", "score", "low", "high"),
        notebook="equal_budgets",
        caption=f"{what} a panel an architecture and budget: {rows['run'].nunique()} models. Top-1 accuracy, and "
        f"Recall@5 of retrieval; bars: 95 % interval of the evaluation set's size alone (binomial), seeds apart. No "
        f"fit. Stages evaluate and collect; tables results/{study}/runs.csv and scores.csv.",
        alt_text=f"{what} {rows['cell'].nunique()} panels. " + _leaders(rows),
    )


def matched_cells(runs: pd.DataFrame) -> pd.DataFrame:
    """`run` and `cell`, for cells of equal architecture, samples seen and unique samples with several families."""
    shared = ["architecture", "samples_seen", "unique_samples"]
    first = runs[(runs["status"] != "failed") & runs["unique_samples"].notna()].sort_values([*shared, "family", "seed"])
    first = first.drop_duplicates([*shared, "family"])
    first = first[first.groupby(shared)["family"].transform("nunique") > 1].sort_values(["samples_seen", "parameters"])
    return first.assign(
        cell=[f"{one.architecture}, {one.samples_seen:,} samples seen" for one in first.itertuples()]
    )[["run", "cell"]]


def _leaders(rows: pd.DataFrame) -> str:
    last = rows[rows["cell"] == rows["cell"].iloc[-1]]
    best = last.loc[last.groupby("panel")["score"].idxmax()]
    return "; ".join(f"{one.panel}: {one.family} ahead" for one in best.itertuples()) + "."


def comparable(study: str) -> bool:
    """Whether two families have an exponent on the same set."""
    laws = _laws(load(study))
    return "alpha" in laws and bool((laws[laws["alpha"].notna()].groupby("panel")["family"].nunique() > 1).any())

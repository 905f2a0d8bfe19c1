"""Figures and tables beyond the paper: intervals, forms compared, held-out tests."""

import pandas as pd

from ..charts import intervals, save
from ..charts.html_table import HtmlTable, table
from ..charts.names import measured, readable
from . import fitted, targets
from .tables import load, optional


def exponents(study: str) -> save.Figure:
    """Every evaluation set's exponent with its interval."""
    tables = load(study)
    laws = tables.laws[(tables.laws["form"] == "power") & (tables.laws["parameter"] == "alpha")]
    laws = laws[laws["task"].isin(("zeroshot_classification", "retrieval"))]
    chosen = [
        fitted.Target(task, dataset, metric, measured(dataset, metric))
        for task, dataset, metric in laws[["task", "dataset", "metric"]].drop_duplicates().itertuples(index=False)
        if metric in ("acc1", "mean_average_precision", "image_retrieval_recall@5", "text_retrieval_recall@5")
    ]
    rows = fitted.power_laws(tables.laws, chosen)
    shown = rows[rows["alpha"].notna()].sort_values("alpha")
    refused = rows[rows["alpha"].isna()]
    what = "Exponent of the power law in compute, set by set, with its 95 % interval,"
    none = (
        f" {len(refused)} further pairs of set and distribution have no exponent (too few models, or too near chance)."
        if len(refused)
        else ""
    )
    return save.save_figure(
        intervals.exponents(shown),
        "exponents",
        study,
        rows=rows,
        notebook="laws",
        caption=f"{what} through all models of a distribution ({shown['panel'].nunique()} sets); the more negative, the "
        f"faster the error falls. An interval that contains 0 shows no law in compute: {_flat(shown)}."
        f"{none}{intervals.beyond(shown)} Stage fit; table results/{study}/laws.csv.",
        alt_text=f"{what} from {shown['alpha'].min():.2f} to {shown['alpha'].max():.2f}.",
    )


def _flat(laws: pd.DataFrame) -> str:
    """How many intervals contain 0, for each distribution with the models behind it."""
    said = []
    for family, own in laws[laws["alpha_low"].notna()].groupby("family"):
        few, many = own["n_points"].astype(int).min(), own["n_points"].astype(int).max()
        models = f"{few}" if few == many else f"{few} to {many}"
        flat = ((own["alpha_low"] < 0) & (own["alpha_high"] > 0)).sum()
        said.append(f"{flat} of {len(own)} for {family} ({models} models a set)")
    return ", ".join(said)


def forms(study: str) -> save.Figure:
    """How well each form of law fits, and how well it foretells the largest compute."""
    tables = load(study)
    laws = tables.laws.drop_duplicates(["family", "task", "dataset", "metric", "form", "estimator"])
    laws = laws[laws["insample_mae_pp"].notna() & laws["heldout_mae_pp"].notna()]
    shared = (
        laws.groupby(["family", "task", "dataset", "metric"])["form"].transform("nunique") == laws["form"].nunique()
    )
    laws = laws[shared] if shared.any() else laws
    parts = [
        laws.groupby("form", as_index=False).agg(mae_pp=(column, "median"), n=(column, "size")).assign(where=where)
        for column, where in (("insample_mae_pp", "fitted models"), ("heldout_mae_pp", "held out"))
    ]
    rows = pd.concat(parts, ignore_index=True)
    best = rows[rows["where"] != "fitted models"].sort_values("mae_pp").iloc[0]
    what = "Mean absolute error of each form of law,"
    return save.save_figure(
        intervals.accuracy(rows),
        "forms",
        study,
        rows=rows,
        notebook="laws",
        caption=f"{what} in percentage points: median over {len(laws) // max(laws['form'].nunique(), 1)} targets that "
        f"every form "
        f"was fitted to. Held out: the models of largest compute, predicted by a fit without them. Stage fit; table "
        f"results/{study}/laws.csv.",
        alt_text=f"{what} least on held-out compute: {readable(best['form'])} with {best['mae_pp']:.2f} percentage points.",
    )


def main_laws(study: str) -> HtmlTable:
    """All parameters of all forms for the study's main set."""
    tables = load(study)
    first = targets.classification(tables)[0]
    laws = tables.laws
    rows = _of(laws, first)
    without = rows[rows["value"].isna()]
    rows = rows.loc[
        rows["value"].notna(),
        [
            "family",
            "form",
            "estimator",
            "parameter",
            "value",
            "low",
            "high",
            "interval_method",
            "status",
            "n_points",
            "n_left_out",
            "insample_mae_pp",
            "heldout_mae_pp",
        ],
    ]
    refused = without[["family", "form", "estimator"]].drop_duplicates()
    said = ""
    if len(refused):
        families = ", ".join(sorted(set(refused["family"])))
        said = f" {len(refused)} further fits ({families}) are {', '.join(sorted(set(without['status'])))}: no parameters."
    return table(
        rows,
        f"Every form fitted to {first.title}: parameters with 95 % intervals.{said}",
        titles={
            "n_points": "models",
            "n_left_out": "left out",
            "insample_mae_pp": "error on fitted (pp)",
            "heldout_mae_pp": "error on held out (pp)",
            "interval_method": "interval",
        },
    )


def held_out(study: str) -> HtmlTable:
    """The held-out models of the main set, one by one."""
    rows = optional(study, "heldout.csv")
    first = targets.classification(load(study))[0]
    rows = _of(rows, first)
    rows = rows[
        [
            name
            for name in ("family", "form", "estimator", "run", "error", "predicted", "low", "high", "covered", "difference_pp")
            if name in rows
        ]
    ]
    return table(rows, f"Models left out of the fit and predicted by it, {first.title}.")


def _tabled(study: str, name: str, columns: dict[str, str], caption: str, main_only: bool = True) -> HtmlTable:
    """A small table of stage fit, for the study's first two evaluation sets; a sentence where the study has none."""
    rows = optional(study, f"{name}.csv")
    if rows is not None and main_only:
        tables = load(study)
        firsts = [
            target for group in (targets.classification(tables)[:1], targets.retrieval(tables)[:1]) for target in group
        ]
        rows = pd.concat([_of(rows, one) for one in firsts])
    if rows is None or rows.empty:
        return HtmlTable(f"<p>results/{study}/{name}.csv holds no rows for these sets.</p>")
    return table(rows[[column for column in columns if column in rows]], caption, titles=columns)


def _of(rows: pd.DataFrame, target: fitted.Target) -> pd.DataFrame:
    """Rows of a target; a table without a column `task` holds zero-shot tasks alone."""
    names = [name for name in ("task", "dataset", "metric") if name in rows]
    return rows[(rows[names] == [getattr(target, name) for name in names]).all(axis=1)]


def sensitivity(study: str) -> HtmlTable:
    """The exponent under other choices of bins, fronts and subsets, and without single models."""
    return _tabled(
        study,
        "sensitivity",
        {
            "dataset": "evaluation set",
            "family": "distribution",
            "design": "what is changed",
            "setting": "to",
            "alpha": "exponent",
            "beta": "factor",
            "n_points": "models",
        },
        "The exponent under other choices.",
    )


def comparison(study: str) -> HtmlTable:
    """Pairs of distributions compared: on the front, on all models, and on pairs of equal design."""
    rows, tables = optional(study, "comparison.csv"), load(study)
    firsts = [*targets.classification(tables), *targets.retrieval(tables)]
    shown = [_of(rows, one).assign(panel=one.title) for one in firsts] if rows is not None else []
    rows = pd.concat(shown) if shown else pd.DataFrame(columns=["status"])
    known = rows[rows["status"] == "CONVERGED"]
    if known.empty:
        return HtmlTable(f"<p>results/{study}/comparison.csv holds no pair of distributions to compare.</p>")
    made = pd.DataFrame(
        {
            "evaluation set": known["panel"],
            "design": known["design"].str.replace("_", " "),
            "of": known["quantity"].str.replace("_", " "),
            "A": known["family_a"],
            "B": known["family_b"],
            "value A": known["value_a"].round(4),
            "value B": known["value_b"].round(4),
            "B − A": known["difference"].round(4),
            "95 % interval": [f"{low:.3f} to {high:.3f}" for low, high in zip(known["low"], known["high"], strict=True)],
            "sign holds": known["probability"].map("{:.1%}".format),
            "models": known["n_a"].astype(int).astype(str) + " / " + known["n_b"].astype(int).astype(str),
        }
    )
    rest = len(rows) - len(known)
    return table(
        made,
        "Pre-training distributions compared. Front: the paper's bins; all models: a law through all of them; matched: "
        "pairs of equal architecture and samples seen, whose mean log error or exponent is compared. Sign holds: "
        "probability under the draws, or Student's t, that the difference has this sign."
        + (f" {rest} further comparisons have too few models (DEGENERATE)." if rest else ""),
    )


def later_models(study: str) -> HtmlTable:
    """Models that came after the paper, beside what each law foretold."""
    return _tabled(
        study,
        "later",
        {
            "architecture": "model",
            "dataset": "evaluation set",
            "form": "form",
            "error": "measured error",
            "predicted": "predicted",
            "low": "low",
            "high": "high",
            "covered": "inside the interval",
            "difference_pp": "predicted − measured (pp)",
        },
        "Later models beside what the laws foretold (95 % prediction intervals).",
    )


def planner(study: str) -> save.Figure:
    """Predicted error of each architecture for budgets inside and one decade beyond the study's."""
    import numpy as np

    from ..charts import panels
    from ..fit import plan, plan_source

    tables = load(study)
    first = targets.classification(tables)[0]
    law = plan_source.law_for(study, first.dataset, "three_variable", metric=first.metric)
    computes = np.geomspace(law.points.compute.min(), law.points.compute.max() * 10, 25)
    rows = plan.trade_off(law, plan_source.architectures_of(study), computes)
    what = f"Predicted error on {first.title} for a training budget, and the samples that it pays for,"
    best = rows[rows["best"]].iloc[-1]
    return save.save_figure(
        panels.trade_off(rows),
        "planner",
        study,
        rows=rows,
        notebook="planner",
        caption=f"{what} one line an architecture, by the law in three variables through {law.fit.n_points} models. Dots: "
        f"the best architecture of each budget, with its 95 % prediction interval as the band. Assumed are "
        f"{law.points.unique.max():,.0f} distinct pairs, the most that a model was trained on; samples beyond these are "
        f"repeats. Budgets right of the dashed rule lie beyond every trained model. Stage fit; tables "
        f"results/{study}/runs.csv and scores.csv.",
        alt_text=f"{what} at the largest budget {best['architecture']} is best with {best['error']:.0%} "
        f"({best['low']:.0%} to {best['high']:.0%}), trained for {best['samples_seen']:,.3g} samples.",
    )


def plannable(study: str) -> bool:
    """Whether the study's main set supports the law in three variables."""
    from ..core.errors import UserError
    from ..fit import plan_source

    first = targets.classification(load(study))[0]
    try:
        plan_source.law_for(study, first.dataset, "three_variable", metric=first.metric, draws=0)
    except UserError:
        return False
    return True

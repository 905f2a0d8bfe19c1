"""Figures and tables beyond the paper: intervals, forms compared, held-out tests."""

import pandas as pd

from ..charts import intervals, playground, save
from ..charts.html_table import HtmlTable, table
from ..core.wording import ends, fixed, interval, listed, measured, named, number, with_interval
from . import fitted, targets
from .tables import download, load, optional


def exponents(study: str) -> save.Figure:
    """Every evaluation set's exponent with its interval."""
    tables = load(study)
    laws = tables.laws[(tables.laws["form"] == "power") & (tables.laws["parameter"] == "alpha")]
    laws = laws[laws["task"].isin(("zeroshot_classification", "retrieval"))]
    chosen = [
        fitted.Target(task, dataset, metric, measured(dataset, metric))
        for task, dataset, metric in laws[["task", "dataset", "metric"]].drop_duplicates().itertuples(index=False)
        if metric in playground.METRICS
    ]
    rows = fitted.power_laws(tables.laws, chosen)
    shown = rows[rows["alpha"].notna()].sort_values("alpha")
    what = "Exponent of the power law in compute, set by set, with its 95 % interval,"
    return save.save_figure(
        intervals.exponents(shown),
        "exponents",
        study,
        rows=rows,
        notebook="laws",
        caption=f"{what} through all models of a distribution; the more negative, the faster the error falls. "
        f"{shown['panel'].nunique()} rows: a set for retrieval has one for images and one for texts. "
        f"{_flat(shown)}{fitted.without(rows[rows['alpha'].isna()])}{intervals.beyond(shown)} Stage fit; table "
        f"results/{study}/laws.csv.",
        alt_text=f"{what} from {fixed(shown['alpha'].min(), 2)} to {fixed(shown['alpha'].max(), 2)}.",
    )


def _flat(shown: pd.DataFrame) -> str:
    """How many intervals of each family hold zero, and how many models these rest on."""
    parts = [
        f"{((own['alpha_low'] < 0) & (own['alpha_high'] > 0)).sum()} of {len(own)} intervals of {family} "
        f"({_range(own['n_points'])} models each)"
        for family, own in shown.groupby("family", sort=True)
    ]
    return f"{listed(parts)} hold 0, so that these alone show no law in compute."


def _range(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def forms(study: str) -> save.Figure:
    """How well each form of law fits, and how well it foretells the largest compute."""
    tables = load(study)
    laws = tables.laws.drop_duplicates(["family", "task", "dataset", "metric", "form", "estimator"])
    laws = laws[laws["insample_mae_pp"].notna() & laws["heldout_mae_pp"].notna()]
    fitted_forms = laws.groupby(["family", "task", "dataset", "metric"])["form"].transform("nunique")
    shared = fitted_forms == laws["form"].nunique()
    laws = laws[shared] if shared.any() else laws
    parts = [
        laws.groupby("form", as_index=False).agg(mae_pp=(column, "median"), n=(column, "size")).assign(where=where)
        for column, where in (("insample_mae_pp", "fitted models"), ("heldout_mae_pp", "held out"))
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows["form"] = rows["form"].map(named)
    best = rows[rows["where"] != "fitted models"].sort_values("mae_pp").iloc[0]
    what = "Mean absolute error of each form of law,"
    return save.save_figure(
        intervals.accuracy(rows),
        "forms",
        study,
        rows=rows,
        notebook="laws",
        caption=f"{what} in percentage points: median over the {_targets(laws)} targets that every form was fitted to. "
        f"Held out: the models of largest compute, predicted by a fit without them. Stage fit; table "
        f"results/{study}/laws.csv.",
        alt_text=f"{what} least on held-out compute: {best['form']} with {best['mae_pp']:.2f} percentage points.",
    )


def _targets(laws: pd.DataFrame) -> int:
    return len(laws.drop_duplicates(["family", "task", "dataset", "metric"]))


def main_laws(study: str) -> HtmlTable:
    """Every form fitted to the study's main set, a row a fit."""
    first = targets.classification(load(study))[0]
    rows = _of(load(study).laws, first)
    fits = rows[rows["value"].notna()].groupby(["family", "form", "estimator"], sort=False)
    refused = rows[rows["value"].isna()].drop_duplicates(["family", "form", "estimator"])
    said = f" {len(refused)} further fits have no parameters ({_reasons(refused)})." if len(refused) else ""
    return table(
        pd.DataFrame([_fit(own) for _, own in fits]),
        f"Every form fitted to {first.title}: parameters with 95 % intervals, and mean absolute error in percentage "
        f"points on the models fitted and on those of largest compute, held out.{said}",
        download=download(study, "laws"),
        numeric=("parameters (95 % interval)", "error, fitted (pp)", "error, held out (pp)"),
        below=("by", "status"),
    )


def _fit(rows: pd.DataFrame) -> dict:
    """One fit: its parameters a line each."""
    first = rows.iloc[0]
    lines = [
        f"{named(one.parameter)} = {with_interval(number(one.value), ends(one.low, one.high))}" for one in rows.itertuples()
    ]
    return {
        "form": named(first["form"]),
        "parameters (95 % interval)": "\n".join(lines),
        "models": int(first["n_points"]),
        "error, fitted (pp)": fixed(first["insample_mae_pp"], 2),
        "error, held out (pp)": fixed(first["heldout_mae_pp"], 2),
        "by": f"{first['family']}; {named(first['estimator'])}; intervals: {named(first['interval_method'])}",
        "status": "" if first["status"] == "CONVERGED" else named(first["status"]),
    }


def _reasons(refused: pd.DataFrame) -> str:
    groups = refused.groupby("status")["family"]
    return listed([f"{named(status)}: {listed(sorted(set(families)))}" for status, families in groups])


def held_out(study: str) -> HtmlTable:
    """The held-out models of the main set, one by one."""
    rows = optional(study, "heldout.csv")
    first = targets.classification(load(study))[0]
    rows = _of(rows, first) if rows is not None else pd.DataFrame()
    if rows.empty:
        return _nothing(study, "heldout")
    shown = pd.DataFrame(
        {
            "model": rows["run"],
            "law": rows["form"].map(named),
            **_foretold(rows),
            "by": rows["family"] + ", " + rows["estimator"].map(named),
        }
    )
    said = f"Models left out of the fit and predicted by it, {first.title}. {_PREDICTED}"
    return table(shown, said, download=download(study, "heldout"), numeric=_FORETOLD, below=("by",))


_FORETOLD = ("error (%)", "predicted (%)", "difference (pp)")
_PREDICTED = "In brackets: 95 % prediction interval; difference: predicted − measured."


def _foretold(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Columns that set what was measured beside what was predicted, in percent."""
    percent = 100 * rows[["error", "predicted", "low", "high"]]
    between = [interval(low, high, 1) for low, high in zip(percent["low"], percent["high"], strict=True)]
    return {
        "error (%)": [fixed(one, 1) for one in percent["error"]],
        "predicted (%)": [
            with_interval(fixed(one, 1), span) for one, span in zip(percent["predicted"], between, strict=True)
        ],
        "difference (pp)": [fixed(one, 1) for one in rows["difference_pp"]],
        "inside": ["" if one != one else "yes" if str(one) == "True" else "no" for one in rows["covered"]],
    }


def _nothing(study: str, name: str) -> HtmlTable:
    return HtmlTable(f"<p>results/{study}/{name}.csv holds no rows for these sets.</p>")


def _first_two(study: str, name: str) -> pd.DataFrame:
    """Rows of a small table of stage fit for the study's first set of each kind, with `panel`, the set's title."""
    rows, tables = optional(study, f"{name}.csv"), load(study)
    firsts = [*targets.classification(tables)[:1], *targets.retrieval(tables)[:1]]
    if rows is None or not firsts:
        return pd.DataFrame()
    return pd.concat([_of(rows, one).assign(panel=one.title) for one in firsts])


def _of(rows: pd.DataFrame, target: fitted.Target) -> pd.DataFrame:
    """Rows of a target; a table without a column `task` holds zero-shot tasks alone."""
    names = [name for name in ("task", "dataset", "metric") if name in rows]
    return rows[(rows[names] == [getattr(target, name) for name in names]).all(axis=1)]


def sensitivity(study: str) -> HtmlTable:
    """The exponent under other choices of bins, fronts and subsets, and without single models."""
    rows = _first_two(study, "sensitivity")
    if rows.empty:
        return _nothing(study, "sensitivity")
    shown = pd.DataFrame(
        {
            "evaluation set": rows["panel"],
            "distribution": rows["family"],
            "choice": [_choice(one.design, str(one.setting)) for one in rows.itertuples()],
            "exponent α": rows["alpha"].map(lambda alpha: fixed(alpha, 3)),
            "models": rows["n_points"],
        }
    )
    said = "The exponent under other choices. The factor of each law is in the CSV."
    return table(shown, said, download=download(study, "sensitivity"), numeric=("exponent α",))


_CHOICES = {
    "bins": "front of {} bins",
    "all_models": "all models",
    "pareto_front": "Pareto front",
    "leave_one_out_front": "front, one model less: {}",
    "leave_one_out_all_models": "all models but one: {}",
    "one_subset": "one subset: {}",
}


def _choice(design: str, setting: str) -> str:
    count, _, unit = setting.partition(" ")
    said = f"{int(count):,} distinct pairs" if unit == "unique" else setting
    return _CHOICES.get(design, f"{named(design)}: {{}}").format(said)


def comparison(study: str) -> HtmlTable:
    """Pairs of distributions compared: on the front, on all models, and on pairs of equal design."""
    rows, tables = optional(study, "comparison.csv"), load(study)
    probed = [] if tables.published else [one for one in targets.probes(tables) if one.task == "linear_probe_full"]
    firsts = [*targets.classification(tables), *targets.retrieval(tables), *probed]
    shown = [_of(rows, one).assign(panel=one.title) for one in firsts] if rows is not None else []
    rows = pd.concat(shown) if shown else pd.DataFrame(columns=["status"])
    known = rows[rows["status"] == "CONVERGED"]
    if known.empty:
        return HtmlTable(f"<p>results/{study}/comparison.csv holds no pair of distributions to compare.</p>")
    return table(
        pd.DataFrame([_compared(one) for one in known.itertuples()]),
        "Pre-training distributions compared. Front: the paper's bins; all models: a law through all of them; matched: "
        "pairs of equal architecture and samples seen, whose mean log error or exponent is compared. Difference: "
        "the second value less the first, with its 95 % interval. Sign holds: probability under the draws, or Student's "
        "t, that the difference has this sign."
        + _too_few(rows[rows["status"] != "CONVERGED"]),
        download=download(study, "comparison"),
        numeric=("values", "difference", "sign holds", "models"),
        below=("of",),
    )


def _compared(one) -> dict[str, str]:
    return {
        "evaluation set": one.panel,
        "distributions": f"{one.family_a}\n{one.family_b}",
        "values": f"{fixed(one.value_a, 3)}\n{fixed(one.value_b, 3)}",
        "difference": with_interval(fixed(one.difference, 3), interval(one.low, one.high)),
        "sign holds": f"{one.probability:.1%}".replace("%", "\u00a0%"),
        "models": f"{int(one.n_a)}\n{int(one.n_b)}",
        "of": f"{named(one.quantity)}, {named(one.design)}",
    }


def _too_few(rows: pd.DataFrame) -> str:
    why = listed(sorted(set(rows["status"].map(named))))
    return f" {len(rows)} further comparisons have {why}." if len(rows) else ""


def later_models(study: str) -> HtmlTable:
    """Models that came after the paper, beside what each law foretold."""
    rows = _first_two(study, "later")
    if rows.empty:
        return _nothing(study, "later")
    shown = pd.DataFrame(
        {
            "model": rows["architecture"],
            "law": rows["form"].map(named),
            **_foretold(rows),
            "about": rows["panel"] + ", " + rows["samples_seen"].map("{:,.0f} samples seen".format),
        }
    )
    said = f"Later models beside what the laws foretold. {_PREDICTED}"
    return table(shown, said, download=download(study, "later"), numeric=_FORETOLD, below=("about",))


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

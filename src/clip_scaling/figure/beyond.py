"""Figures and tables beyond the paper: intervals, forms compared, held-out tests."""

import pandas as pd

from ..charts import intervals, save
from ..charts.html_table import HtmlTable, table
from . import fitted, targets
from .tables import load, optional


def exponents(study: str) -> save.Figure:
    """Every evaluation set's exponent with its interval."""
    tables = load(study)
    laws = tables.laws[(tables.laws["form"] == "power") & (tables.laws["parameter"] == "alpha")]
    chosen = [fitted.Target(task, dataset, metric, f"{dataset}, {metric}") for task, dataset, metric in
              laws[["task", "dataset", "metric"]].drop_duplicates().itertuples(index=False)
              if metric in ("acc1", "mean_average_precision", "image_retrieval_recall@5", "text_retrieval_recall@5")]
    rows = fitted.power_laws(tables.laws, chosen)
    shown = rows[rows["alpha"].notna()].sort_values("alpha")
    refused = rows[rows["alpha"].isna()]
    flat = int(((shown["alpha_low"] < 0) & (shown["alpha_high"] > 0)).sum())
    what = "Exponent of the power law in compute, set by set, with its 95 % interval,"
    return save.save_figure(
        intervals.exponents(shown), "exponents", study, rows=rows, notebook="laws",
        caption=f"{what} through all models of a family ({shown['panel'].nunique()} sets). {flat} intervals contain 0: no law in "
                f"compute is seen there. {len(refused)} further fits have no exponent "
                f"({', '.join(sorted(set(refused['status']))) or 'none'}). Stage fit; table results/{study}/laws.csv.",
        alt_text=f"{what} from {shown['alpha'].min():.2f} to {shown['alpha'].max():.2f}.",
    )


def forms(study: str) -> save.Figure:
    """How well each form of law fits, and how well it foretells the largest compute."""
    tables = load(study)
    laws = tables.laws.drop_duplicates(["family", "task", "dataset", "metric", "form", "estimator"])
    laws = laws[laws["insample_mae_pp"].notna() & laws["heldout_mae_pp"].notna()]
    shared = laws.groupby(["family", "task", "dataset", "metric"])["form"].transform("nunique") == laws["form"].nunique()
    laws = laws[shared] if shared.any() else laws
    parts = [laws.groupby("form", as_index=False).agg(mae_pp=(column, "median"), n=(column, "size")).assign(where=where)
             for column, where in (("insample_mae_pp", "fitted models"), ("heldout_mae_pp", "held-out largest compute"))]
    rows = pd.concat(parts, ignore_index=True)
    best = rows[rows["where"] != "fitted models"].sort_values("mae_pp").iloc[0]
    what = "Mean absolute error of each form of law,"
    return save.save_figure(
        intervals.accuracy(rows), "forms", study, rows=rows, notebook="laws",
        caption=f"{what} in percentage points: median over {len(laws) // max(laws['form'].nunique(), 1)} targets that every form "
                f"was fitted to. Held out: the models of largest compute, predicted by a fit without them. Stage fit; table "
                f"results/{study}/laws.csv.",
        alt_text=f"{what} least on held-out compute: {best['form']} with {best['mae_pp']:.2f} percentage points.",
    )


def main_laws(study: str) -> HtmlTable:
    """All parameters of all forms for the study's main set."""
    tables = load(study)
    first = targets.classification(tables)[0]
    laws = tables.laws
    rows = laws[(laws["task"] == first.task) & (laws["dataset"] == first.dataset) & (laws["metric"] == first.metric)]
    rows = rows[["family", "form", "parameter", "value", "low", "high", "interval_method", "status", "n_points", "n_left_out",
                 "insample_mae_pp", "heldout_mae_pp"]]
    return table(rows, f"Every form fitted to {first.title}: parameters with 95 % intervals.",
                 titles={"n_points": "models", "n_left_out": "left out", "insample_mae_pp": "error on fitted (pp)",
                         "heldout_mae_pp": "error on held out (pp)", "interval_method": "interval"})


def held_out(study: str) -> HtmlTable:
    """The held-out models of the main set, one by one."""
    rows = optional(study, "heldout.csv")
    first = targets.classification(load(study))[0]
    rows = rows[(rows["dataset"] == first.dataset) & (rows["metric"] == first.metric)]
    rows = rows[[name for name in ("family", "form", "run", "error", "predicted", "low", "high", "covered", "difference_pp")
                 if name in rows]]
    return table(rows, f"Models left out of the fit and predicted by it, {first.title}.")

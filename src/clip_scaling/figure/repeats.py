"""Where repeated data stops helping, as the law in three variables says it."""

import math

import pandas as pd

from ..charts import laws as charts
from ..charts import save
from ..charts.html_table import HtmlTable, table
from ..fit.forms import form_named
from . import fitted, targets
from .tables import StudyTables, load

FORM, CONSTANT = "three_variable", "R"
_HEADLINE = (("imagenet1k", "ImageNet"), ("imagenet_robustness", "ImageNet robustness"), ("vtab+", "VTAB+"))


def constants(tables: StudyTables) -> pd.DataFrame:
    """One row an evaluation set whose repetition constant was found: panel, value, low, high, status, n_points.

    Fits that ended on a bound say only that the data do not tell, and are left out.
    """
    laws = tables.laws
    rows = laws[(laws["form"] == FORM) & (laws["estimator"] == fitted.ESTIMATOR) & (laws["parameter"] == CONSTANT)]
    rows = rows[rows["status"] == "CONVERGED"]
    found = []
    for target in _targets(tables):
        own = rows[(rows["task"] == target.task) & (rows["dataset"] == target.dataset) & (rows["metric"] == target.metric)]
        if len(own):
            found.append(own.loc[own["n_points"].astype(int).idxmax()].to_dict() | {"panel": target.title})
    return pd.DataFrame(found, columns=[*laws.columns, "panel"])


def _targets(tables: StudyTables) -> list[fitted.Target]:
    retrieval = targets.retrieval(tables, kinds=("image",))
    if tables.published:
        return [*(fitted.Target("zeroshot_classification", name, "acc1", title) for name, title in _HEADLINE), *retrieval]
    return [*targets.classification(tables), *retrieval]


def known(tables: StudyTables) -> bool:
    return not constants(tables).empty


def half_worth(constant: float) -> float:
    """Epochs after which one more repeat is worth half a new sample: the derivative of S_eff there is 1/2."""
    return 1 + math.log(2) * constant


def repeats(study: str) -> save.Figure:
    """What epochs are worth, in epochs of fresh data, for each evaluation set with a repetition constant."""
    from ..fit import returns

    rows = constants(load(study))
    worth = returns.worth_of_repeats(dict(zip(rows["panel"], rows["value"], strict=True)))
    what = "What epochs over the same pairs are worth, in epochs of fresh pairs,"
    first = rows.iloc[0]
    return save.save_figure(
        charts.worth_of_repeats(worth),
        "repeats",
        study,
        rows=worth,
        notebook="repeats",
        caption=f"{what} by the law in three variables, for {len(rows)} evaluation sets. The straight line: every repeat worth a new "
        f"pair. Constants with their intervals are listed below. Stage fit; table results/{study}/laws.csv.",
        alt_text=f"{what} each curve levels off: on {first['panel']} at {1 + first['value']:.0f} epochs' worth.",
        laws=_table(rows),
    )


def _table(rows: pd.DataFrame) -> HtmlTable:
    ends = list(zip(rows["low"], rows["high"], strict=True))
    most = next(one.high for one in form_named(FORM).parameters if one.name == CONSTANT)
    shown = pd.DataFrame(
        {
            "evaluation set": rows["panel"],
            "R": rows["value"].map("{:.1f}".format),
            "95 % interval": [_range(low, high, most, 1) for low, high in ends],
            "half worth after (epochs)": rows["value"].map(lambda value: f"{half_worth(value):.0f}"),
            "its interval": [_range(half_worth(low), half_worth(high), most / 2, 0) for low, high in ends],
            "never worth more than (epochs)": rows["value"].map(lambda value: f"{1 + value:.0f}"),
            "models": rows["n_points"].astype(int),
        }
    )
    return table(
        shown,
        "The repetition constant R, and what follows from it: when one more repeat is worth half a new pair, and how many "
        "epochs of fresh pairs endless repetition amounts to.",
        numeric=tuple(shown.columns[1:]),
    )


def _range(low: float, high: float, most: float, digits: int) -> str:
    """An interval that reaches the bound of its parameter has no upper end that the data would know."""
    return f"{low:.{digits}f} or more" if high >= most else f"{low:.{digits}f} to {high:.{digits}f}"


def predicted(study: str) -> save.Figure:
    """The law in three variables against the measurements of the study's main set."""
    from ..fit import plan_source, returns

    first = targets.classification(load(study))[0]
    law = plan_source.law_for(study, first.dataset, FORM, metric=first.metric)
    rows = returns.predicted_against_measured(law)
    what = f"Error on {first.title} by the law in three variables, against the measured error,"
    return save.save_figure(
        charts.predicted_against_measured(rows),
        "three_variables",
        study,
        rows=rows,
        notebook="repeats",
        caption=f"{what} {len(rows)} models, coloured by the number of distinct pairs; bars: 95 % prediction intervals. Mean "
        f"absolute error {law.fit.insample_mae_pp:.2f} percentage points. Stage fit; tables results/{study}/runs.csv and "
        f"scores.csv.",
        alt_text=f"{what} close to the diagonal: {law.fit.insample_mae_pp:.1f} percentage points off on average.",
    )

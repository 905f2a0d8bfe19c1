"""What the explore notebooks call: fit a law to chosen data and see fit, residuals, intervals and held-out error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..charts import panels, save
from ..charts.html_table import HtmlTable, table
from ..core.cells import read_cells
from ..core.errors import UserError
from ..core.schema import Column, Table, validate
from ..core.wording import ends, fixed, interval, named, number, with_interval
from ..fit import estimate, forms, heldout, plan, plan_source, targets
from ..fit.outcome import Estimator, Points
from ..fit.predict import predict
from ..published.data import STUDY as PUBLISHED

OWN_COLUMNS = ("label", "compute", "error")  # of a user's CSV
# What some forms and estimators read besides; a CSV may have further columns, which are nobody's business here.
_OWN = (
    Column("label", "text", "name of the model"),
    Column("compute", "number", "training compute", "GMAC", above=0),
    Column("error", "fraction", "1 - score", above=0),
    Column("gmacs", "number", "forward pass of one image-text pair", "GMAC", above=0),
    Column("samples", "whole", "pairs seen in training", above=0),
    Column("unique", "whole", "distinct pairs", above=0),
    Column("items", "whole", "images or queries scored", above=0),
)


def choices(study: str) -> HtmlTable:
    """What can be fitted: families, evaluation sets and metrics of a study, with the number of models."""
    rows = [{**one.key, "models": len(one.points), "left out": len(one.left_out)} for one in _targets(study)]
    said = f"Forms: {', '.join(forms.form_names())}. Estimators: {', '.join(Estimator)}."
    return table(pd.DataFrame(rows), f"What the {study} study has. {said}")


def fit(
    study: str,
    dataset: str,
    metric: str,
    form: str = "power",
    estimator: str = "log_ls",
    family: str | None = None,
    own_points: str | Path | None = None,
    draws: int = 1000,
) -> save.Shown:
    """Fit one form to one set's models, and to `own_points` (CSV with OWN_COLUMNS) besides where given.

    Raises UserError for an unknown set, form or estimator, or a CSV that cannot be read.
    """
    if estimator not in list(Estimator):
        raise UserError(f"unknown estimator {estimator!r}", mend=f"known: {', '.join(Estimator)}")
    points = _points(study, dataset, metric, family)
    points = _joined(points, Path(own_points)) if own_points else points
    law_form = forms.form_named(form)
    lacking = [name for name in law_form.needs if getattr(points, name) is None]
    if lacking:
        raise UserError(
            f"form {form} needs {', '.join(lacking)} of every model", mend="take another form, or add the columns"
        )
    law = estimate.fit(points, law_form, estimator, draws=draws)
    test = heldout.hold_out(points, law_form, estimator)
    return save.Shown(_chart(points, law, law_form, f"{dataset}, {metric}"), _tables(points, law, law_form, test))


def budget(study: str, dataset: str, gmac: float, form: str = "three_variable") -> HtmlTable:
    """Every architecture of a study under a training budget in GMAC, best first."""
    law = plan_source.law_for(study, dataset, form)
    ranked = plan.options(law, plan_source.architectures_of(study), plan.Budget(compute=gmac))
    rows = [
        {
            "architecture": one.architecture,
            "samples seen": number(one.samples, 3),
            "error (%)": with_interval(fixed(100 * one.error, 2), interval(100 * one.low, 100 * one.high, 2)),
            "decades beyond the models": one.extrapolation_decades,
        }
        for one in ranked
    ]
    return table(
        pd.DataFrame(rows),
        f"{named(dataset)}: what {number(gmac, 3)} GMAC buy, by a law in {named(form)} through {law.fit.n_points} models; in "
        f"brackets: 95 % prediction interval.",
        numeric=("samples seen", "error (%)"),
    )


def _targets(study: str) -> list[targets.Target]:
    published = study == PUBLISHED
    rules = targets.PUBLISHED if published else targets.OWN
    return targets.targets_of(targets.read_errors(study), rules, published=published)


def _points(study: str, dataset: str, metric: str, family: str | None) -> Points:
    found = [
        one
        for one in _targets(study)
        if one.dataset == dataset and one.metric == metric and family in (None, one.family)
    ]
    if not found:
        raise UserError(f"study {study} has no {metric} on {dataset!r}", mend="choose from explore.choices(study)")
    return max(found, key=lambda one: len(one.points)).points


def _joined(points: Points, path: Path) -> Points:
    """The study's models and the user's. Raises UserError naming what the CSV lacks."""
    cells = read_cells(path)
    known = tuple(column for column in _OWN if column.name in cells or column.name in OWN_COLUMNS)
    table = Table("points", known, tuple(column.name for column in known))
    rows = validate(cells[[name for name in table.names if name in cells]], table, where=path)
    more = {
        name: (
            np.append(values, rows[name].to_numpy(float))
            if (values := getattr(points, name)) is not None and name in rows
            else None
        )
        for name in ("gmacs", "samples", "unique", "items")
    }
    return replace(
        points,
        names=(*points.names, *rows["label"]),
        **more,
        compute=np.append(points.compute, rows["compute"].to_numpy(float)),
        error=np.append(points.error, rows["error"].to_numpy(float)),
    )


def _chart(points: Points, law, form, title: str):
    """Models and law beside each other, and the residuals."""
    predicted, low, high = predict(law, form, points)
    rows = pd.DataFrame(
        {
            "run": points.names,
            "compute": points.compute,
            "error": points.error,
            "predicted": predicted,
            "low": low,
            "high": high,
            "family": "models",
        }
    ).sort_values("compute")
    rows["residual"] = rows["error"] / rows["predicted"]
    shown = rows.assign(panel=title)
    line = shown.drop(columns="error").rename(columns={"predicted": "error"}) if law.ok else None
    fitted = panels.panels(shown, shape=None, lines=line)
    if not law.ok:
        return fitted
    flat = panels.panels(
        rows.assign(panel="residuals"), y=panels.Axis("residual", "measured / predicted error"), shape=None
    )
    return fitted | flat


def _tables(points: Points, law, form, test) -> HtmlTable:
    rows = pd.DataFrame(
        {
            "parameter": law.parameters,
            "value (95 % interval)": [
                with_interval(number(value), ends(low, high))
                for value, low, high in zip(law.theta, law.low, law.high, strict=True)
            ],
            "interval by": [named(str(method)) for method in law.methods],
        }
    )
    made = table(
        rows,
        f"{named(law.form)}, {named(law.estimator)}: {named(law.status)}, {law.n_points} models, mean absolute error "
        f"{law.insample_mae_pp:.2f} percentage points.",
        numeric=("value (95 % interval)",),
    )
    if test is None:
        return made
    percent = zip(100 * test.predicted, 100 * test.low, 100 * test.high, strict=True)
    held = pd.DataFrame(
        {
            "model": test.names,
            "error (%)": [fixed(error, 2) for error in 100 * test.error],
            "predicted (95 % interval)": [with_interval(fixed(one, 2), interval(low, high, 2)) for one, low, high in percent],
        }
    )
    said = f"Held out (largest compute), predicted without them: {test.mae_pp:.2f} percentage points off."
    return made + table(held, said, numeric=("error (%)", "predicted (95 % interval)"))

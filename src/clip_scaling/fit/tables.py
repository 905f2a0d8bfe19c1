"""Fits of a study as tables: laws, held-out predictions, choice of form."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .estimate import fit
from .forms import Form
from .heldout import HeldOut, hold_out
from .outcome import Estimator, Fit, no_fit
from .targets import KEY, Target


@dataclass(frozen=True)
class Fitted:
    """A target with one form fitted to it, and its held-out test."""

    target: Target
    form: Form
    fit: Fit
    heldout: HeldOut | None


def fit_target(target: Target, form: Form, estimator: Estimator, draws: int) -> Fitted | None:
    """None where the target lacks what the form or estimator reads (unique samples, item counts)."""
    points = target.points
    needs = (*form.needs, *(["items"] if estimator is Estimator.LOG_LS_BINOMIAL else []))
    if len(points) and any(getattr(points, name) is None for name in needs):
        return None
    if not target.enough:
        return Fitted(target, form, no_fit(form.name, estimator, form.names, len(points)), None)
    law = fit(points, form, estimator, draws=draws)
    return Fitted(target, form, law, hold_out(points, form, estimator) if law.ok else None)


def laws_frame(study: str, fitted: list[Fitted]) -> pd.DataFrame:
    """Rows of core.schema.LAWS: one a parameter; no numbers where the status says that there is no estimate."""
    rows = []
    for one in fitted:
        law = one.fit
        heldout = one.heldout.mae_pp if one.heldout else np.nan
        common = {"study": study, **one.target.key, "form": law.form, "estimator": str(law.estimator)}
        for place, name in enumerate(law.parameters):
            numbers = {"value": law.theta[place], "low": law.low[place], "high": law.high[place]}
            rows.append({**common, "parameter": name, **{key: _finite(value) for key, value in numbers.items()},
                         "interval_method": str(law.methods[place]), "status": str(law.status),
                         "n_points": law.n_points, "n_left_out": len(one.target.left_out),
                         "insample_mae_pp": _finite(law.insample_mae_pp), "heldout_mae_pp": _finite(heldout)})
    return pd.DataFrame(rows)


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else np.nan


def heldout_frame(study: str, fitted: list[Fitted]) -> pd.DataFrame:
    """One row a model left out: its error, the prediction without it, the interval, and whether that covered."""
    columns = ["study", *KEY, "form", "estimator", "run", "compute", "error", "predicted", "low", "high", "covered",
               "difference_pp"]
    rows = []
    for one in fitted:
        test = one.heldout
        if test is None or not test.fit.ok:
            continue
        for place, run in enumerate(test.names):
            rows.append({"study": study, **one.target.key, "form": one.form.name, "estimator": str(one.fit.estimator),
                         "run": run, "compute": test.compute[place], "error": test.error[place],
                         "predicted": test.predicted[place], "low": test.low[place], "high": test.high[place],
                         "covered": bool(test.covered[place]),
                         "difference_pp": 100 * (test.predicted[place] - test.error[place])})
    return pd.DataFrame(rows, columns=columns)

"""Which form to choose: corrected Akaike criterion and held-out error beside one another."""

import numpy as np
import pandas as pd

from .outcome import Estimator, Status
from .tables import Fitted
from .targets import KEY

COLUMNS = ["study", *KEY, "form", "estimator", "status", "n_points", "n_parameters", "aicc", "delta_aicc",
           "insample_mae_pp", "heldout_mae_pp", "heldout_n", "heldout_covered", "best_aicc", "best_heldout"]


def aicc(rss: float, n: int, parameters: int) -> float:
    """Akaike's criterion for Gaussian log error, corrected for few models; the variance counts as a parameter.

    Infinite where n is too small for the correction.
    """
    k = parameters + 1
    if n - k - 1 <= 0:
        return np.inf
    return n * np.log(max(rss, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def choice_frame(study: str, fitted: list[Fitted]) -> pd.DataFrame:
    """One row a target and form. AICc is only for forms fitted to all models by least squares of log error."""
    rows = [_row(study, one) for one in fitted if one.fit.ok]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    if frame.empty:
        return frame
    groups = frame.groupby(KEY, sort=False)
    frame["delta_aicc"] = frame["aicc"] - groups["aicc"].transform("min")
    frame["best_aicc"] = frame["delta_aicc"] == 0
    frame["best_heldout"] = frame["heldout_mae_pp"].notna() & (
        frame["heldout_mae_pp"] == groups["heldout_mae_pp"].transform("min"))
    return frame


def _row(study: str, one: Fitted) -> dict:
    law, test = one.fit, one.heldout
    comparable = law.estimator is Estimator.LOG_LS and not one.form.front and law.status is not Status.MAX_ITER
    value = aicc(2 * law.objective, law.n_points, len(law.parameters)) if comparable else np.nan
    tested = test is not None and test.fit.ok
    return {
        "study": study, **one.target.key, "form": law.form, "estimator": str(law.estimator), "status": str(law.status),
        "n_points": law.n_points, "n_parameters": len(law.parameters), "aicc": value if np.isfinite(value) else np.nan,
        "insample_mae_pp": law.insample_mae_pp, "heldout_mae_pp": test.mae_pp if tested else np.nan,
        "heldout_n": len(test.names) if tested else 0,
        "heldout_covered": float(test.covered.mean()) if tested else np.nan,
    }

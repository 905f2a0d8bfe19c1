"""What a fitted law predicts for models, with 95 % prediction intervals: they hold a single model's scatter too."""

import numpy as np
from scipy import special, stats

from .bootstrap import LEVEL
from .forms import Form
from .outcome import Fit, Points

_SCATTER_SEED = 0


def predict(law: Fit, form: Form, points: Points) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted errors (n,) and the ends of their 95 % prediction intervals; NaN without a fit, none above 1.

    From the bootstrap draws of the law, each with a model's own scatter, their tail widened for the degrees of freedom as
    for parameters: draws know about bounds and bent valleys. Without draws by the delta method and Student's t.
    """
    if not law.ok:
        empty = np.full(len(points), np.nan)
        return empty, empty, empty
    predicted, slopes = form.derivatives(points, form.inside(law.theta)[None])
    centre = predicted[0]
    freedom = law.n_points - len(law.parameters)
    if len(law.draws) and freedom >= 1:
        low, high = _of_draws(law, form, points, freedom)
        # An interval excludes its own estimate only where the draws are lopsided; it must not.
        low, high = np.minimum(low, centre), np.maximum(high, centre)
    else:
        half = _half_width(law, np.stack([slope[0] / centre for slope in slopes]))
        low, high = centre * np.exp(-half), centre * np.exp(half)
    return tuple(np.minimum(part, 1.0) for part in (centre, low, high))


def _of_draws(law: Fit, form: Form, points: Points, freedom: int) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="ignore"):
        drawn = np.log(form.errors(points, law.draws))
    noise = np.random.default_rng(_SCATTER_SEED).standard_normal(len(drawn)) * law.scale
    tail = special.ndtr(stats.t.ppf((1 - LEVEL) / 2, freedom))
    low, high = np.exp(np.nanquantile(drawn + noise[:, None], [tail, 1 - tail], axis=0))
    return low, high


def _half_width(law: Fit, gradient: np.ndarray) -> np.ndarray:
    """Half the interval of log error (n,), from its derivatives (p, n) by internal coordinates."""
    variance = np.einsum("jn,jk,kn->n", gradient, law.covariance, gradient) + law.scale**2
    freedom = law.n_points - int((np.diag(law.covariance) > 0).sum())
    return stats.t.ppf((1 + LEVEL) / 2, max(freedom, 1)) * np.sqrt(variance)

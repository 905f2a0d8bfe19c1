"""Held-out test: fit without the models of largest compute, predict them, and see whether the interval covered."""

from dataclasses import dataclass

import numpy as np

from .estimate import DELTA, FEW, fit
from .forms import Form, form_named
from .outcome import Estimator, Fit, Points
from .predict import predict

FRACTION = 0.2


@dataclass(frozen=True)
class HeldOut:
    """Predictions for the models left out: arrays of length k, errors as fractions."""

    names: tuple[str, ...]
    compute: np.ndarray
    error: np.ndarray
    predicted: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fit: Fit

    @property
    def mae_pp(self) -> float:
        """Mean absolute error of the predictions in percentage points; NaN without any."""
        return float(100 * np.abs(self.predicted - self.error).mean()) if len(self.error) else np.nan

    @property
    def covered(self) -> np.ndarray:
        return (self.low <= self.error) & (self.error <= self.high)


def split_largest(points: Points, fraction: float = FRACTION) -> np.ndarray:
    """Mask (n,) of the `fraction` of models with the largest compute, at least one; ties fall by name."""
    count = max(1, round(fraction * len(points)))
    order = np.lexsort((np.array(points.names), points.compute))
    mask = np.zeros(len(points), dtype=bool)
    mask[order[-count:]] = True
    return mask


def hold_out(points: Points, form: Form | str, estimator: Estimator | str = Estimator.LOG_LS,
             fraction: float = FRACTION, delta: float = DELTA) -> HeldOut | None:
    """Fit without the largest compute and predict it; None below 6 models, where too few would be left."""
    form = form_named(form) if isinstance(form, str) else form
    if len(points) < FEW:
        return None
    largest = split_largest(points, fraction)
    law = fit(points.take(~largest), form, estimator, draws=0, delta=delta)
    left = points.take(largest)
    return HeldOut(left.names, left.compute, left.error, *predict(law, form, left), law)

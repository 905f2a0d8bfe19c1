"""Effective robustness: error under a shift beyond what error in distribution foretells.

Over a set of models the two errors follow a line once both are taken through the logit (Taori et al. 2020; Miller et
al. 2021). Above the line a model is more robust than its in-distribution error says. Pure functions of numbers.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Status(Enum):
    FITTED = "FITTED"
    TOO_FEW = "TOO_FEW"  # fewer than three models with accuracies inside (0, 1)
    FLAT = "FLAT"  # all in-distribution accuracies alike


@dataclass(frozen=True)
class Trend:
    """logit(shift accuracy) = slope x logit(in-distribution accuracy) + intercept; NaN unless status is FITTED."""

    slope: float
    intercept: float
    r_squared: float
    n_models: int
    status: Status

    def expected(self, in_distribution: np.ndarray) -> np.ndarray:
        """Accuracy under the shift that the trend foretells for accuracies in distribution."""
        return 1 / (1 + np.exp(-(self.slope * logit(in_distribution) + self.intercept)))

    def effective(self, in_distribution: np.ndarray, shifted: np.ndarray) -> np.ndarray:
        """Effective robustness: accuracy under the shift minus what the trend foretells, as a fraction."""
        return np.asarray(shifted, dtype=float) - self.expected(in_distribution)


def logit(accuracy: np.ndarray) -> np.ndarray:
    accuracy = np.asarray(accuracy, dtype=float)
    with np.errstate(divide="ignore"):
        return np.log(accuracy) - np.log1p(-accuracy)


def fit_trend(in_distribution: np.ndarray, shifted: np.ndarray) -> Trend:
    """Least squares in logit space over models' accuracies, both of shape [models].

    Models at 0 or 1 have no logit and do not enter; `n_models` counts those that do.
    """
    first, second = logit(in_distribution), logit(shifted)
    inside = np.isfinite(first) & np.isfinite(second)
    first, second = first[inside], second[inside]
    if len(first) < 3:
        return Trend(np.nan, np.nan, np.nan, len(first), Status.TOO_FEW)
    if np.ptp(first) < 1e-9:
        return Trend(np.nan, np.nan, np.nan, len(first), Status.FLAT)
    slope, intercept = np.polyfit(first, second, 1)
    residual = second - slope * first - intercept
    spread = ((second - second.mean()) ** 2).sum()
    r_squared = 1 - (residual**2).sum() / spread if spread > 0 else 1.0
    return Trend(float(slope), float(intercept), float(r_squared), len(first), Status.FITTED)

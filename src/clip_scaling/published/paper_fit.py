"""The paper's fits exactly as published (Section 4.1, Appendix B.2): E = beta C^alpha, C in GMAC, E a fraction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core.errors import UserError

BINS, MARGIN = 5, 0.1

# Samples seen of the scenarios of Table 4: epochs x pairs an epoch; the paper's labels are rounder than its numbers.
SCENARIO_SAMPLES = {
    "1B": 10**9,
    "3B": 80_000_415 * 32,
    "13B": 407_332_084 * 32,
    "34B": 407_332_084 * 84,
    "68B": 2 * 407_332_084 * 84,
}


@dataclass(frozen=True)
class PaperFit:
    """E = beta C^alpha through `x` = log10 C and `y` = log10 E."""

    alpha: float
    beta: float
    x: tuple[float, ...]
    y: tuple[float, ...]

    def error(self, compute: float | np.ndarray) -> float | np.ndarray:
        """Predicted error (a fraction) at a total compute in GMAC."""
        return self.beta * np.asarray(compute, float) ** self.alpha

    @property
    def half_width(self) -> float:
        """Half of alpha's 95 % t-interval; NaN for two points."""
        from scipy.stats import t

        x, y = np.asarray(self.x), np.asarray(self.y)
        freedom, centred = len(x) - 2, x - x.mean()
        if freedom < 1:
            return float("nan")
        residual = y - np.log10(self.beta) - self.alpha * x
        return float(t.ppf(0.975, freedom) * np.sqrt(residual @ residual / freedom / (centred @ centred)))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % t-interval of alpha."""
        return self.alpha - self.half_width, self.alpha + self.half_width


def front_bins(compute: Sequence[float], error: Sequence[float], bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Bin centre and least log10 error of each bin that has points; equal bins of log10 C over [min, max + 0.1]."""
    x, y = _logarithms(compute, error)
    edges = np.linspace(x.min(), x.max() + MARGIN, bins + 1)
    which = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, bins - 1)
    filled = np.unique(which)
    return (edges[filled] + edges[filled + 1]) / 2, np.array([y[which == each].min() for each in filled])


def fit_front(compute: Sequence[float], error: Sequence[float], bins: int = BINS) -> PaperFit:
    """The paper's fit of a LAION family: least squares through the least error of each bin."""
    return _line(*front_bins(compute, error, bins))


def fit_all(compute: Sequence[float], error: Sequence[float]) -> PaperFit:
    """The paper's fit of CLIP-WIT and of all linear probes: least squares through all points."""
    return _line(*_logarithms(compute, error))


def fit_points(points: pd.DataFrame, family: str) -> PaperFit:
    """The paper's fit of one family's rows (`family`, `task`, `compute`, `error`): a front for zero-shot LAION only."""
    rows = points[points["family"] == family]
    binned = family == "LAION" and not rows["task"].str.startswith("linear_probe").any()
    return (fit_front if binned else fit_all)(rows["compute"], rows["error"])


def _logarithms(compute: Sequence[float], error: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    c, e = np.asarray(compute, float), np.asarray(error, float)
    if len(c) < 2 or not ((c > 0).all() and (e > 0).all()):
        raise UserError(
            "a power law needs two or more points of positive compute and error", mend="leave out the others"
        )
    return np.log10(c), np.log10(e)


def _line(x: np.ndarray, y: np.ndarray) -> PaperFit:
    centred = x - x.mean()
    spread = centred @ centred
    if spread == 0:
        raise UserError(
            "all points have one compute, so no slope can be fitted", mend="give models of different compute"
        )
    alpha = centred @ y / spread
    intercept = y.mean() - alpha * x.mean()
    return PaperFit(float(alpha), float(10**intercept), tuple(x), tuple(y))

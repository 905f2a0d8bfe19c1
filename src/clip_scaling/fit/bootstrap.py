"""Draws of models, and intervals from what they give."""

from functools import lru_cache

import numpy as np
from scipy import special, stats


LEVEL = 0.95


@lru_cache(maxsize=64)
def multiplicities(n: int, draws: int, seed: int = 0) -> np.ndarray:
    """(draws, n): how often each of n models is drawn. The same for all targets with n models: draws are paired."""
    counts = np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=draws).astype(float)
    counts.setflags(write=False)
    return counts


def t_interval(value: np.ndarray, error: np.ndarray, freedom: int) -> tuple[np.ndarray, np.ndarray]:
    """Student's interval; infinite without degrees of freedom."""
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * error if freedom > 0 else np.full_like(value, np.inf)
    return value - half, value + half


def studentised(value: float, error: float, draws: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Bootstrap-t: quantiles of (draw - value) / its standard error. NaN where fewer than 100 draws are usable."""
    usable = np.isfinite(draws) & np.isfinite(errors) & (errors > 1e-9 * max(error, 1e-300))
    if usable.sum() < 100 or not np.isfinite(error):
        return np.nan, np.nan
    pivots = (draws[usable] - value) / errors[usable]
    below, above = np.quantile(pivots, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return value - above * error, value - below * error


def widening(n: int, freedom: int) -> float:
    """How much wider an interval is than draws of n models with `freedom` left show (Hesterberg 2015)."""
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) / stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(n / freedom))


def expanded(draws: np.ndarray, n: int, freedom: int) -> tuple[float, float]:
    """Percentiles at a level widened for `freedom` of n: plain ones are too narrow for few models."""
    usable = draws[np.isfinite(draws)]
    if len(usable) < 100 or freedom < 1:
        return np.nan, np.nan
    tail = special.ndtr(stats.norm.ppf((1 - LEVEL) / 2) * widening(n, freedom))
    low, high = np.quantile(usable, [tail, 1 - tail])
    return float(low), float(high)



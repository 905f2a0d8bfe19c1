"""The paper's front: compute is cut into bins, each bin gives (its centre, its least error), a line goes through these."""

import numpy as np

from .closed import least_squares
from .outcome import Points

BINS = 5
_EDGE = 0.1  # in log10: the paper's bins reach that far beyond the largest compute


def binned(points: Points, counts: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Bin centres and least errors, natural logarithms, (b, bins) each; NaN for a bin without models.

    `counts` (b, n): multiplicities of the models; bins span the models drawn (paper, Section 4.1 and released notebook).
    """
    log_c, log_e = np.log10(points.compute), points.log_error
    drawn = counts > 0
    low = np.where(drawn, log_c, np.inf).min(axis=1, keepdims=True)
    high = np.where(drawn, log_c, -np.inf).max(axis=1, keepdims=True) + _EDGE
    width = (high - low) / bins
    place = np.clip(((log_c - low) / width).astype(int), 0, bins - 1)
    least = np.stack([np.where(drawn & (place == k), log_e, np.inf).min(axis=1) for k in range(bins)], axis=1)
    centres = (low + width * (np.arange(bins) + 0.5)) * np.log(10)
    return centres, np.where(np.isfinite(least), least, np.nan)


def fit_binned(points: Points, counts: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (b, 2), log beta and alpha, of each draw, and their classical standard errors (b, 2)."""
    centres, least = binned(points, counts, bins)
    return _lines(centres, least)


def _lines(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.isfinite(y)
    n = used.sum(axis=1)
    x, y = np.where(used, x, 0.0), np.where(used, y, 0.0)
    with np.errstate(all="ignore"):
        mean_x, mean_y = x.sum(1) / n, y.sum(1) / n
        dx = np.where(used, x - mean_x[:, None], 0.0)
        sxx = (dx**2).sum(1)
        slope = np.where((n >= 2) & (sxx > 1e-12), (dx * y).sum(1) / sxx, np.nan)
        residual = np.where(used, y - mean_y[:, None] - slope[:, None] * dx, 0.0)
        scale = np.where(n > 2, (residual**2).sum(1) / (n - 2), np.nan)
        errors = np.sqrt(np.column_stack([scale * (1 / n + mean_x**2 / sxx), scale / sxx]))
    return np.column_stack([mean_y - slope * mean_x, slope]), errors


def pareto(points: Points) -> np.ndarray:
    """Mask (n,) of the models that none with as little compute beats."""
    order = np.lexsort((points.error, points.compute))
    best, mask = np.inf, np.zeros(len(points), dtype=bool)
    for index in order:
        if points.error[index] < best:
            best, mask[index] = points.error[index], True
    return mask


def line_through(points: Points) -> np.ndarray:
    """log beta and alpha of least squares through all the points."""
    design = np.column_stack([np.ones(len(points)), np.log(points.compute)])
    return least_squares(design, points.log_error, np.ones((1, len(points)))).coefficients[0]

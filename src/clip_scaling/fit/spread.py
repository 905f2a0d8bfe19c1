"""Standard errors of a fit and of its bootstrap draws, by the sandwich formula with leverages (HC3).

Unlike the classical formula it does not suppose that small models scatter as much as large ones.
"""

import numpy as np

from .linalg import cholesky, gram, inverse


def standard_errors(columns: list[np.ndarray], residual: np.ndarray, counts: np.ndarray, prior: np.ndarray,
                    free: np.ndarray | None = None) -> np.ndarray:
    """HC3 standard errors (b, p). `columns`: p derivatives (b, n) of the residual; `counts`: multiplicities (b, n).

    `prior`: weights (n,) of the objective. `free` (b, p): coordinates not on a bound; the others get error 0.
    """
    influence = _influence(columns, residual, counts, prior, free)
    return np.stack([np.sqrt(np.einsum("bn,bn->b", counts, part**2)) for part in influence], axis=1)


def covariance(columns: list[np.ndarray], residual: np.ndarray, prior: np.ndarray, free: np.ndarray) -> np.ndarray:
    """HC3 covariance (p, p) of one fit to all models; `columns` and `residual` have one row."""
    influence = np.stack([part[0] for part in _influence(columns, residual, np.ones_like(residual), prior, free[None])])
    return influence @ influence.T


def classical(columns: list[np.ndarray], residual: np.ndarray, prior: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Covariance (p, p) supposing equal scatter: what Student's interval is exact for."""
    bread = _bread(columns, np.broadcast_to(prior, residual.shape), free[None])[:, :, 0]
    freedom = residual.shape[1] - int(free.sum())
    scale = float((prior * residual[0] ** 2).sum()) / freedom if freedom > 0 else np.nan
    return scale * bread * np.outer(free, free)


def _bread(columns: list[np.ndarray], weights: np.ndarray, free: np.ndarray | None) -> np.ndarray:
    matrix = gram(columns, weights)
    if free is not None:
        held = free.T
        matrix = matrix * (held[:, None] & held[None, :])
        places = np.arange(len(columns))
        matrix[places, places] += ~held
    return inverse(cholesky(matrix))


def _influence(columns, residual, counts, prior, free) -> list[np.ndarray]:
    """What each model adds to each coordinate, (b, n), enlarged by its leverage."""
    if free is not None:  # a coordinate held on its bound takes up nothing: it has no part in the leverage either
        columns = [column * free[:, [j]] for j, column in enumerate(columns)]
    weights = counts * prior
    bread = _bread(columns, weights, free)
    size = len(columns)
    moved = [sum(bread[j, k][:, None] * columns[k] for k in range(size)) for j in range(size)]
    leverage = prior * sum(column * part for column, part in zip(columns, moved))
    pull = prior * residual / np.maximum(1 - leverage, 0.02)
    return [part * pull for part in moved]

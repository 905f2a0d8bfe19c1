"""Small symmetric systems, solved for thousands of bootstrap draws at once.

Matrices are stored as (p, p, b): with p at most 6 and b in the thousands, loops over p with vectors over b are several
times faster than one LAPACK call a draw.
"""

import numpy as np


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """Lower factors (p, p, b) of symmetric positive definite matrices (p, p, b); NaN where one is not.

    What lies above the diagonal is not part of the factor and is never read.
    """
    lower = matrix.copy()
    for j in range(len(lower)):
        pivot = lower[j, j]
        pivot[~(pivot > 0)] = np.nan
        np.sqrt(pivot, out=pivot)
        lower[j + 1:, j] /= pivot
        lower[j + 1:, j + 1:] -= lower[j + 1:, None, j] * lower[None, j + 1:, j]
    return lower


def cholesky_solve(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve for right-hand sides (p, b), given the factors of `cholesky`."""
    solution = right.copy()
    for i in range(len(lower)):
        solution[i] /= lower[i, i]
        solution[i + 1:] -= lower[i + 1:, i] * solution[i]
    for i in reversed(range(len(lower))):
        solution[i] /= lower[i, i]
        solution[:i] -= lower[i, :i] * solution[i]
    return solution


def inverse(lower: np.ndarray) -> np.ndarray:
    """Inverses (p, p, b) from the factors of `cholesky`."""
    size, batch = len(lower), lower.shape[2]
    columns = []
    for j in range(size):
        unit = np.zeros((size, batch))
        unit[j] = 1
        columns.append(cholesky_solve(lower, unit))
    return np.stack(columns, axis=1)


def gram(rows: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """(p, p, b): weighted products of p Jacobian columns, each (b, n), with weights (b, n)."""
    size, batch = len(rows), weights.shape[0]
    product = np.empty((size, size, batch))
    for j in range(size):
        weighted = rows[j] * weights
        for k in range(j + 1):
            product[j, k] = product[k, j] = np.einsum("bn,bn->b", weighted, rows[k])
    return product

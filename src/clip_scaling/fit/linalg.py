"""Small symmetric systems, solved for thousands of bootstrap draws at once.

Matrices are stored as (p, p, b): with p at most 6 and b in the thousands, loops over p with vectors over b are several
times faster than one LAPACK call a draw.
"""

import numpy as np


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """Lower factors (p, p, b) of symmetric positive definite matrices (p, p, b); NaN where one is not."""
    size = len(matrix)
    lower = np.zeros_like(matrix)
    for j in range(size):
        pivot = matrix[j, j].copy()
        for k in range(j):
            pivot -= lower[j, k] ** 2
        pivot[~(pivot > 0)] = np.nan
        lower[j, j] = np.sqrt(pivot)
        for i in range(j + 1, size):
            rest = matrix[i, j].copy()
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            lower[i, j] = rest / lower[j, j]
    return lower


def cholesky_solve(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve for right-hand sides (p, b), given the factors of `cholesky`."""
    size, solution = len(lower), right.copy()
    for i in range(size):
        for k in range(i):
            solution[i] -= lower[i, k] * solution[k]
        solution[i] /= lower[i, i]
    for i in reversed(range(size)):
        for k in range(i + 1, size):
            solution[i] -= lower[k, i] * solution[k]
        solution[i] /= lower[i, i]
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

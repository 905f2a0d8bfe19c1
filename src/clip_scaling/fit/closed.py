"""Weighted least squares in closed form, for all bootstrap draws in a few matrix products."""

from dataclasses import dataclass

import numpy as np

from .linalg import cholesky, cholesky_solve


@dataclass(frozen=True)
class Linear:
    """Coefficients (b, p), residuals prediction - y (b, n), and the design's columns (1, n) each."""

    coefficients: np.ndarray
    residual: np.ndarray
    columns: list[np.ndarray]


def least_squares(design: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Linear:
    """Fit y (n,) on design (n, p) for each row of weights (b, n); NaN where a draw does not determine it.

    The first column is the constant: the others are centred, which keeps log compute near 25 from spoiling the digits.
    """
    centre = design.mean(axis=0)
    centre[0] = 0.0
    columns = (design - centre).T
    size = len(columns)
    products = np.array([columns[j] * columns[k] for j in range(size) for k in range(size)])
    matrix = (weights @ products.T).T.reshape(size, size, -1)
    right = (weights @ (columns * y).T).T
    lower = cholesky(matrix)
    # A pivot that is only rounding: the draw holds too few distinct models.
    diagonal, places = np.arange(size), np.arange(size)
    lower = np.where((lower[diagonal, places] ** 2 < 1e-10 * matrix[diagonal, places]).any(0), np.nan, lower)
    solution = cholesky_solve(lower, right)
    residual = solution.T @ columns - y
    solution[0] -= np.einsum("k,kb->b", centre, solution)
    return Linear(solution.T, residual, [column[None] for column in design.T])

"""Variable projection: factors that enter linearly are solved for inside the search over the others.

Least squares in error, E - sum of c_k phi_k(q), over the nonlinear q alone, with Kaufman's derivative; it is an estimator of
its own, and with weights 1/E^2 the source of starts for the log objectives.
"""

from itertools import product

import numpy as np

from .forms import Form
from .linalg import cholesky, cholesky_solve, gram
from .outcome import Points
from .solve import Problem

_STEP = 1e-30
_HELD = 1e30


def project(basis: list[np.ndarray], error: np.ndarray, weights: np.ndarray,
            floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors (k, b), none below `floor` (k,), and the factor of the normal equations that gave them (k, k, b)."""
    matrix = gram(basis, weights)
    right = np.stack([np.einsum("bn,bn->b", column * weights, np.broadcast_to(error, column.shape)) for column in basis])
    size = len(basis)
    held = np.zeros((size, matrix.shape[2]), dtype=bool)
    for _ in range(size):
        kept, aim = matrix.copy(), right.copy()
        for j in range(size):
            kept[j, j] = np.where(held[j], _HELD, matrix[j, j] * (1 + 1e-14))
            aim[j] = np.where(held[j], _HELD * floor[j], right[j])
        lower = cholesky(kept)
        factors = cholesky_solve(lower, aim)
        below = (factors < floor[:, None]) & ~held
        if not below.any():
            break
        held |= below & (factors - floor[:, None] == np.where(below, factors - floor[:, None], np.inf).min(0))
    return np.maximum(factors, floor[:, None]), lower


def _basis(form: Form, points: Points, q: np.ndarray) -> list[np.ndarray]:
    shape = (len(q), len(points))
    return [np.broadcast_to(part, shape) for part in form.basis(points, *(column[:, None] for column in q.T))]


def varpro_problem(form: Form, points: Points, weights: np.ndarray) -> Problem:
    """The projected problem over the nonlinear parameters, in internal coordinates (b, q)."""
    floor = np.array([parameter.low for parameter in form.parameters if parameter.linear])
    positive = form.positive[~form.linear]

    def problem(inner: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        weight = weights[rows] if len(weights) > 1 else np.broadcast_to(weights, (len(inner), len(points)))
        q = np.where(positive, np.exp(np.where(positive, inner, 0)), inner)
        with np.errstate(all="ignore"):
            basis = _basis(form, points, q)
            factors, lower = project(basis, points.error, weight, floor)
            residual = sum(c[:, None] * part for c, part in zip(factors, basis)) - points.error
            columns = [_column(form, points, q, j, positive[j], basis, factors, lower, weight) for j in range(q.shape[1])]
            value = 0.5 * np.einsum("bn,bn->b", weight * residual, residual)
            gradient = np.stack([np.einsum("bn,bn->b", column, weight * residual) for column in columns])
            matrix = gram(columns, weight)
        bad = ~(np.isfinite(value) & np.isfinite(gradient).all(0) & np.isfinite(matrix).all((0, 1)))
        return inner, np.where(bad, np.inf, value), np.where(bad, 0.0, matrix), np.where(bad, 0.0, gradient)

    return problem


def _column(form, points, q, j, positive, basis, factors, lower, weight) -> np.ndarray:
    """Kaufman's derivative of the projected residual: the change of the basis, less what the factors take up."""
    moved = [part[:, None] + (1j * _STEP if k == j else 0) for k, part in enumerate(q.T)]
    slopes = [np.broadcast_to(np.imag(part) / _STEP, weight.shape) for part in form.basis(points, *moved)]
    change = sum(c[:, None] * slope for c, slope in zip(factors, slopes))
    change = change * q[:, [j]] if positive else change
    taken = cholesky_solve(lower, np.stack([np.einsum("bn,bn->b", part * weight, change) for part in basis]))
    return change - sum(c[:, None] * part for c, part in zip(taken, basis))


def assemble(form: Form, points: Points, inner: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """All parameters (b, p), natural, from nonlinear ones (b, q) in internal coordinates."""
    positive = form.positive[~form.linear]
    q = np.where(positive, np.exp(np.where(positive, inner, 0)), inner)
    floor = np.array([parameter.low for parameter in form.parameters if parameter.linear])
    weight = weights if len(weights) > 1 else np.broadcast_to(weights, (len(q), len(points)))
    with np.errstate(all="ignore"):
        factors, _ = project(_basis(form, points, q), points.error, weight, floor)
    theta = np.empty((len(q), len(form.parameters)))
    theta[:, form.linear], theta[:, ~form.linear] = factors.T, q
    return theta


def grid_starts(form: Form, points: Points, weights: np.ndarray, keep: int = 48) -> np.ndarray:
    """The best `keep` combinations of the form's grid, natural parameters (keep, p), by weighted squared error."""
    grid = np.array(list(product(*form.grid(points))))
    positive = form.positive[~form.linear]
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(positive, np.log(grid), grid)
    theta = assemble(form, points, inner, weights[None])
    with np.errstate(all="ignore"):
        residual = form.errors(points, theta) - points.error
    score = (weights * residual**2).sum(axis=1)
    return theta[np.argsort(np.where(np.isfinite(score), score, np.inf), kind="stable")[:keep]]

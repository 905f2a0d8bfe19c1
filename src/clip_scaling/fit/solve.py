"""Gauss-Newton with Levenberg's damping and bounds, for thousands of bootstrap draws side by side.

A problem is a function of internal coordinates u (b, p) and the draws' indices (b,) that returns the objective (b,), the
Gauss-Newton matrix (p, p, b) and the gradient (p, b), where objective = 1/2 sum of weighted squares, or its robust
counterpart. The objective is a sum, not a mean, and the tolerance is relative to it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .linalg import cholesky, cholesky_solve, gram
from .forms import Form
from .outcome import Points, Status

Problem = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
_TINY = 1e-28  # objective of a fit without noise


@dataclass(frozen=True)
class Solution:
    """Coordinates (b, p), objectives (b,), whether each met the tolerance, and which coordinates lie on a bound."""

    inner: np.ndarray
    objective: np.ndarray
    converged: np.ndarray
    at_bound: np.ndarray
    iterations: int

    def status(self, row: int) -> Status:
        if not np.isfinite(self.objective[row]):
            return Status.ABNORMAL
        if not self.converged[row]:
            return Status.MAX_ITER
        return Status.BOUND_HIT if self.at_bound[row].any() else Status.CONVERGED


def gauss_newton(problem: Problem, start: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], *,
                 tolerance: float = 1e-16, max_iterations: int = 300) -> Solution:
    """Minimise from `start` (b, p) inside bounds (p,). Draws that have converged cost nothing more.

    A draw has converged when the decrease that its quadratic model promises is below `tolerance` times the objective:
    1e-16 places estimates within about 1e-8 standard errors of the optimum, 1e-10 within 1e-5.
    """
    low, high = bounds
    inner = np.clip(start, low, high).astype(float)
    objective = np.full(len(inner), np.inf)
    converged = np.zeros(len(inner), dtype=bool)
    rows = np.arange(len(inner))
    value, matrix, gradient = problem(inner, rows)
    u, damping = inner.copy(), np.full(len(rows), 1e-4)
    for iteration in range(1, max_iterations + 1):
        step, promised = _step(u, matrix, gradient, damping, low, high)
        done = (promised <= tolerance * value + _TINY) | ~np.isfinite(value) | (damping > 1e14)
        if done.any():
            finished = rows[done]
            inner[finished], objective[finished] = u[done], value[done]
            converged[finished] = np.isfinite(value[done]) & (damping[done] <= 1e14)
            keep = ~done
            rows, u, value, damping = rows[keep], u[keep], value[keep], damping[keep]
            matrix, gradient, step = matrix[:, :, keep], gradient[:, keep], step[keep]
        if not len(rows):
            break
        trial = np.clip(u + step, low, high)
        new_value, new_matrix, new_gradient = problem(trial, rows)
        better = new_value <= value
        u = np.where(better[:, None], trial, u)
        value = np.where(better, new_value, value)
        matrix = np.where(better, new_matrix, matrix)
        gradient = np.where(better, new_gradient, gradient)
        damping = np.where(better, np.maximum(damping * 0.1, 1e-15), np.maximum(damping * 8, 1e-6))
    inner[rows], objective[rows] = u, value
    return Solution(inner, objective, converged, _at_bound(inner, low, high), iteration)


def _at_bound(inner: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    width = np.where(np.isfinite(high - low), high - low, 1.0)
    return (inner <= low + 1e-9 * width) | (inner >= high - 1e-9 * width)


def _step(u, matrix, gradient, damping, low, high) -> tuple[np.ndarray, np.ndarray]:
    """Damped steps (b, p) and the decrease (b,) promised without damping; coordinates pressed on a bound stay."""
    size = len(gradient)
    pressed = ((u <= low) & (gradient.T > 0)) | ((u >= high) & (gradient.T < 0))
    free = (~pressed).T
    right = -gradient * free
    held = matrix * (free[:, None] & free[None, :])
    diagonal = np.arange(size)
    plain = np.maximum(held[diagonal, diagonal], 1e-300)
    held[diagonal, diagonal] = np.where(free, plain * (1 + damping), 1.0)
    step = cholesky_solve(cholesky(held), right)
    step = np.where(np.isfinite(step), step, right / plain)
    # A step that ends at a bound promises only what the part inside can give.
    step = np.clip(u.T + step, low[:, None], high[:, None]) - u.T
    promised = np.einsum("pb,pb->b", step, right) * (1 + damping)
    return step.T, np.where(np.isfinite(promised), promised, 0.0)


def log_problem(form: Form, points: Points, weights: np.ndarray, delta: float | None = None) -> Problem:
    """Residuals log(prediction / error) with weights (b, n); squared, or Huber's loss beyond `delta`."""
    log_error = points.log_error

    def problem(inner: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with np.errstate(all="ignore"):
            predicted, slopes = form.derivatives(points, inner)
            residual = np.log(predicted) - log_error
            columns = [slope / predicted for slope in slopes]
        weight = weights[rows] if len(weights) > 1 else np.broadcast_to(weights, residual.shape)
        return _normal_equations(residual, columns, weight, delta)

    return problem


def _normal_equations(residual, columns, weight, delta):
    if delta is None:
        pull = weight * residual
        value = 0.5 * np.einsum("bn,bn->b", pull, residual)
        curvature = weight
    else:
        size = np.abs(residual)
        shrunk = np.where(size <= delta, 1.0, delta / np.maximum(size, 1e-300))
        curvature = weight * shrunk
        pull = curvature * residual
        value = np.einsum("bn,bn->b", weight, np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta)))
    gradient = np.stack([np.einsum("bn,bn->b", column, pull) for column in columns])
    matrix = gram(columns, curvature)
    bad = ~(np.isfinite(value) & np.isfinite(gradient).all(0) & np.isfinite(matrix).all((0, 1)))
    value = np.where(bad, np.inf, value)
    return value, np.where(bad, 0.0, matrix), np.where(bad, 0.0, gradient)

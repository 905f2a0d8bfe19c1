"""Gauss-Newton with Levenberg's damping and bounds, for thousands of bootstrap draws side by side.

A problem is a function of internal coordinates u (b, p) and the draws' indices (b,) that returns coordinates (u, or better
ones that it found beside), and there the objective (b,), the Gauss-Newton matrix (p, p, b) and the gradient (p, b), where
objective = 1/2 sum of weighted squares, or its robust counterpart: a sum, not a mean, and the tolerance is relative to it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .linalg import cholesky, cholesky_solve, gram
from .forms import Form
from .outcome import Points, Status

Problem = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
_TINY = 1e-28  # objective of a fit without noise
_NEAR = 0.01  # a step in internal coordinates within which the quadratic model is taken at its word
_ROUNDING = 1e-12  # a promise this small that is not kept: only rounding is left


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
                 tolerance: float = 1e-16, max_iterations: int = 300, last_step: bool = False) -> Solution:
    """Minimise from `start` (b, p) inside bounds (p,). Draws that have converged cost nothing more.

    A draw has converged when the decrease that its quadratic model promises is below `tolerance` times the objective:
    1e-16 places estimates within about 1e-8 standard errors of the optimum. `last_step`: where it is short, take the step
    that promised so little, unevaluated; it gains another digit or more for nothing.
    """
    low, high = bounds
    inner = np.clip(start, low, high).astype(float)
    objective = np.full(len(inner), np.inf)
    converged = np.zeros(len(inner), dtype=bool)
    rows = np.arange(len(inner))
    u, value, matrix, gradient = problem(inner, rows)
    damping, stalled = np.full(len(rows), 1e-4), np.zeros(len(rows), dtype=bool)
    for iteration in range(1, max_iterations + 1):
        step, promised = _step(u, matrix, gradient, damping, low, high)
        # A strongly damped step promises little anywhere: it proves nothing.
        settled = (promised <= tolerance * value + _TINY) & (damping <= 1e-2) | stalled
        done = settled | ~np.isfinite(value) | (damping > 1e14)
        if done.any():
            finished = rows[done]
            closer = u[done]
            if last_step:
                near = settled[done] & ~stalled[done] & (np.abs(step[done]).max(axis=1) < _NEAR)
                closer = closer + np.where(near[:, None], step[done], 0.0)
            inner[finished], objective[finished] = np.clip(closer, low, high), value[done]
            converged[finished] = settled[done] & np.isfinite(value[done])
            keep = ~done
            rows, u, value, damping = rows[keep], u[keep], value[keep], damping[keep]
            matrix, gradient, step, promised = matrix[:, :, keep], gradient[:, keep], step[keep], promised[keep]
        if not len(rows):
            break
        trial, new_value, new_matrix, new_gradient = problem(np.clip(u + step, low, high), rows)
        better = new_value <= value
        kept = 2 * (value - new_value) / np.maximum(promised, 1e-300)
        stalled = ~better & (promised <= _ROUNDING * value)
        u, value = np.where(better[:, None], trial, u), np.where(better, new_value, value)
        matrix, gradient = np.where(better, new_matrix, matrix), np.where(better, new_gradient, gradient)
        # Undamped steps only where the quadratic model keeps its promise: elsewhere they swing across a bent valley.
        less, more = np.maximum(damping * 0.1, 1e-15), np.maximum(damping * np.where(better, 4, 8), 1e-3)
        damping = np.where(kept > 0.9, less, np.where(kept > 0.25, damping, more))
    inner[rows], objective[rows] = u, value
    return Solution(inner, objective, converged, on_bound(inner, bounds), iteration)


def on_bound(inner: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Which coordinates (..., p) lie on a bound (p,), to a millionth."""
    low, high = bounds
    return (inner <= low + 1e-6 * np.maximum(1, np.abs(low))) | (inner >= high - 1e-6 * np.maximum(1, np.abs(high)))


def _step(u, matrix, gradient, damping, low, high) -> tuple[np.ndarray, np.ndarray]:
    """Damped steps (b, p) and the decrease (b,) promised, within bounds (p,) or (b, p); coordinates pressed on one stay."""
    u, low, high = u.T, np.atleast_2d(low).T, np.atleast_2d(high).T
    pressed = ((u <= low) & (gradient > 0)) | ((u >= high) & (gradient < 0))
    step = _solve(matrix, gradient, damping, pressed, np.zeros_like(gradient))
    ends = u + step
    beyond = ((ends < low) | (ends > high)) & ~pressed
    out = np.flatnonzero(beyond.any(axis=0))
    if len(out):
        # Where a coordinate would leave, it goes to its bound and the others are solved for again.
        at, least, most = u[:, out], *(side if side.shape[1] == 1 else side[:, out] for side in (low, high))
        held = pressed[:, out] | beyond[:, out]
        to_bound = np.where(beyond[:, out], np.clip(ends[:, out], least, most) - at, 0.0)
        step[:, out] = np.clip(at + _solve(matrix[:, :, out], gradient[:, out], damping[out], held, to_bound), least, most) - at
    promised = -np.einsum("pb,pb->b", step, gradient)
    return step.T, np.where(np.isfinite(promised), promised, 0.0)


def _solve(matrix, gradient, damping, held, moves) -> np.ndarray:
    """Steps (p, b) of the damped system; coordinates `held` (p, b) make the given `moves`."""
    system, right = matrix.copy(), -gradient
    for j in np.flatnonzero(held.any(axis=1)):
        right -= matrix[:, j] * moves[j]
        system[j] *= ~held[j]
        system[:, j] *= ~held[j]
    diagonal = np.arange(len(gradient))
    plain = np.maximum(system[diagonal, diagonal], 1e-300)
    system[diagonal, diagonal] = np.where(held, 1.0, plain * (1 + damping))
    right = np.where(held, moves, right)
    with np.errstate(all="ignore"):
        step = cholesky_solve(cholesky(system), right)
        return np.where(np.isfinite(step), step, np.where(held, moves, right / plain))


def log_problem(form: Form, points: Points, weights: np.ndarray, delta: float | None = None) -> Problem:
    """Residuals log(prediction / error) with weights (b, n); squared, or Huber's loss beyond `delta`.

    Where the form is a sum of terms with a factor each, the factors are solved for again after each step. Their valleys
    (an irreducible error against an exponent) are long and bent: Gauss-Newton alone creeps along them.
    """
    def problem(inner: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        weight = weights[rows] if len(weights) > 1 else np.broadcast_to(weights, (len(inner), len(points)))
        with np.errstate(all="ignore"):
            ends = np.append(np.flatnonzero((inner[1:] != inner[:-1]).any(axis=1)) + 1, len(inner))
            if len(ends) * 100 < len(inner):
                return inner, *_shared(form, points, inner, ends, weight, delta)
            return _evaluate(form, points, inner, weight, delta)

    return problem


def _shared(form: Form, points: Points, inner: np.ndarray, ends: np.ndarray, weight: np.ndarray, delta: float | None):
    """Normal equations of many draws at few places, as at their starts: products of matrices instead of thousands of rows."""
    made = []
    for place, rows in zip(ends, np.split(weight, ends[:-1])):
        predicted, slopes = form.derivatives(points, inner[[place - 1]])
        residual = np.log(predicted[0]) - points.log_error
        columns = np.stack([slope[0] / predicted[0] for slope in slopes])
        shrunk, lost = loss(residual, delta)
        products = np.einsum("pn,qn->pqn", columns, columns * shrunk)
        made.append((rows @ lost, products @ rows.T, (columns * shrunk * residual) @ rows.T))
    return _finite(*(np.concatenate(parts, axis=-1) for parts in zip(*made)))


def _evaluate(form: Form, points: Points, inner: np.ndarray, weight: np.ndarray, delta: float | None):
    """Coordinates with better factors, where the form has factors, and the normal equations there."""
    predicted, slopes = form.derivatives(points, inner)
    if form.owners is None:
        return inner, *_equations(points, predicted, slopes, weight, delta)
    terms = [slopes[factor] for factor in np.flatnonzero(form.linear)]
    before = _equations(points, predicted, terms, weight, delta)
    moved, scales, change = _refactor(form, inner, before, terms)
    scaled = [slope if scale is None else slope * scale[:, None] for slope, scale in zip(slopes, scales)]
    made = _equations(points, predicted + change, scaled, weight, delta)
    worse = np.flatnonzero(~(made[0] <= before[0]))  # far from an optimum the step in the factors can overshoot
    if len(worse):
        moved[worse] = inner[worse]
        back = _equations(points, predicted[worse], [slope[worse] for slope in slopes], weight[worse], delta)
        for whole, part in zip(made, back):
            whole[..., worse] = part
    return moved, *made


def _refactor(form: Form, inner: np.ndarray, made, terms) -> tuple[np.ndarray, list[np.ndarray | None], np.ndarray]:
    """One Gauss-Newton step in the factors alone: new coordinates, how each derivative scales, change of prediction."""
    _, matrix, gradient = made
    factors = np.flatnonzero(form.linear)
    low, high = (side[factors] for side in form.bounds)
    positive, here = form.positive[factors], inner[:, factors]
    # Relative changes of positive factors, absolute ones of the others: the prediction is linear in both.
    start = np.where(positive, 0.0, here)
    low = np.where(positive, np.maximum(np.expm1(low - here), -0.9), low)
    high = np.where(positive, np.minimum(np.expm1(high - here), 9.0), high)
    moves, _ = _step(start, matrix, gradient, np.zeros(len(inner)), low, high)
    inner, scale = inner.copy(), {}
    for k, factor in enumerate(factors):
        if positive[k]:
            scale[factor] = 1 + moves[:, k]
        inner[:, factor] += np.log(scale[factor]) if positive[k] else moves[:, k]
    change = sum(moves[:, [k]] * term for k, term in enumerate(terms))
    return inner, [scale.get(owner) for owner in form.owners], change


def loss(residual: np.ndarray, delta: float | None) -> tuple[np.ndarray | float, np.ndarray]:
    """Weight of each residual beside a square's, and its loss: half its square, or Huber's beyond `delta`."""
    if delta is None:
        return 1.0, 0.5 * residual**2
    size = np.abs(residual)
    shrunk = np.where(size <= delta, 1.0, delta / np.maximum(size, 1e-300))
    return shrunk, np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta))


def _equations(points: Points, predicted: np.ndarray, slopes: list[np.ndarray], weight: np.ndarray, delta: float | None):
    """Objective (b,), Gauss-Newton matrix (p, p, b) and gradient (p, b) of log errors, given errors and their derivatives."""
    residual, share = np.log(predicted) - points.log_error, 1 / predicted
    columns = [slope * share for slope in slopes]
    if delta is None:
        curvature, pull = weight, weight * residual
        value = 0.5 * np.einsum("bn,bn->b", pull, residual)
    else:
        shrunk, lost = loss(residual, delta)
        curvature = weight * shrunk
        pull = curvature * residual
        value = np.einsum("bn,bn->b", weight, lost)
    gradient = np.stack([np.einsum("bn,bn->b", column, pull) for column in columns])
    return _finite(value, gram(columns, curvature), gradient)


def _finite(value: np.ndarray, matrix: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same, with an infinite objective and no step where something overflowed."""
    bad = ~(np.isfinite(value) & np.isfinite(gradient).all(0) & np.isfinite(matrix).all((0, 1)))
    return np.where(bad, np.inf, value), np.where(bad, 0.0, matrix), np.where(bad, 0.0, gradient)

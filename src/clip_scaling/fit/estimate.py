"""Fit one form to models: point estimate, bootstrap draws, interval, status."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import bootstrap, closed, front, spread, varpro
from .forms import Form, form_named
from .heap import keep_freed_arrays
from .outcome import Estimator, Fit, Method, Points, Status, no_fit
from .profile import far_end
from .solve import Problem, Solution, gauss_newton, log_problem, loss, on_bound

DRAWS = 4000
DELTA = 0.01  # Huber's loss: log errors beyond 1 % count by their size, not its square
FEW = 6  # below this many models the bootstrap has too few distinct draws: Student's interval instead
_RANDOM_STARTS = 256
_FINISHED = 3  # runs that are followed to the end
_PILOTS = 256  # draws that others start from
_UNSEEN = 1e-8  # a parameter that changes log errors by no more between its bounds is not determined; see there


@dataclass(frozen=True)
class _Raw:
    """Estimates in internal coordinates: inner (p,), draws (b, p), standard errors of the draws (b, p)."""

    inner: np.ndarray
    status: Status
    objective: float
    covariance: np.ndarray
    classical: np.ndarray
    free: np.ndarray
    draws: np.ndarray
    errors: np.ndarray
    draws_at_bound: np.ndarray


def fit(points: Points, form: Form | str, estimator: Estimator | str = Estimator.LOG_LS, *, draws: int = DRAWS,
        seed: int = 0, delta: float = DELTA) -> Fit:
    """Fit `form` to `points`; `draws` bootstrap draws of models (0: intervals from the curvature alone).

    The result's status is DEGENERATE, and every number NaN, where there are fewer models than parameters + 1 or where they
    leave a parameter, or a combination of some, free to be anything. Raises ValueError where `points` lack an array that
    the form or estimator needs, or where they do not go together.
    """
    keep_freed_arrays()
    form, estimator = (form_named(form) if isinstance(form, str) else form).bounded_by(points), Estimator(estimator)
    _check(points, form, estimator)
    size, n = len(form.parameters), len(points)
    if n < size + 1 or (size > 1 and np.ptp(np.log(points.compute)) < 1e-9):
        return no_fit(form.name, estimator, form.names, n)
    draws = draws if n >= FEW else 0
    counts = bootstrap.multiplicities(n, draws, seed)
    if form.front and n >= FEW:
        raw = _fit_front(points, counts)
    elif form.design is not None and estimator in (Estimator.LOG_LS, Estimator.LOG_LS_BINOMIAL):
        raw = _fit_closed(points, form, estimator, counts)
        if raw is not None and on_bound(raw.inner, form.bounds).any():
            raw = _fit_iterative(points, form, estimator, counts, delta)  # the closed form knows no bounds
    else:
        raw = _fit_iterative(points, form, estimator, counts, delta)
    if raw is None or not np.isfinite(raw.inner).all():
        return no_fit(form.name, estimator, form.names, n, Status.DEGENERATE if raw is None else Status.ABNORMAL)
    return _finish(points, form, estimator, raw, delta)


def _check(points: Points, form: Form, estimator: Estimator) -> None:
    for name in (*form.needs, *(["items"] if estimator is Estimator.LOG_LS_BINOMIAL else [])):
        if getattr(points, name) is None or not np.isfinite(getattr(points, name)).all():
            raise ValueError(f"{form.name} with {estimator} needs {name} of every model")
    if estimator is Estimator.VARPRO and form.basis is None:
        raise ValueError(f"{form.name} declares no basis: variable projection does not apply")
    if form.front and estimator is not Estimator.LOG_LS:
        raise ValueError(f"{form.name} is least squares through a front: {estimator} does not apply")
    if not ((points.error > 0) & (points.error <= 1)).all():
        raise ValueError("errors lie in (0, 1]")


def prior_weights(points: Points, estimator: Estimator) -> np.ndarray:
    """Weights (n,) of mean 1: the inverse binomial variance of log error, or all equal."""
    if estimator is not Estimator.LOG_LS_BINOMIAL:
        return np.ones(len(points))
    # One item right or wrong more keeps a perfect score's weight finite.
    value = np.clip(1 - points.error, 1 / (points.items + 2), None)
    weights = points.items * points.error / value
    return weights / weights.mean()


def _fit_front(points: Points, counts: np.ndarray) -> _Raw | None:
    coefficients, errors = front.fit_binned(points, np.ones((1, len(points))))
    drawn, drawn_errors = front.fit_binned(points, counts) if len(counts) else (np.empty((0, 2)), np.empty((0, 2)))
    if not np.isfinite(coefficients).all():
        return None
    centres, least = front.binned(points, np.ones((1, len(points))))
    used = np.isfinite(least[0])
    design = np.column_stack([np.ones(used.sum()), centres[0, used]])
    residual = design @ coefficients[0] - least[0, used]
    freedom = used.sum() - 2
    scale = residual @ residual / freedom if freedom > 0 else np.nan
    covariance = scale * np.linalg.inv(design.T @ design)
    return _Raw(coefficients[0], Status.CONVERGED, 0.5 * float(residual @ residual), covariance, covariance,
                np.ones(2, bool), drawn, drawn_errors, np.zeros((len(drawn), 2), bool))


def _fit_closed(points: Points, form: Form, estimator: Estimator, counts: np.ndarray) -> _Raw | None:
    prior, design = prior_weights(points, estimator), form.design(points)
    stacked = np.vstack([np.ones(len(points)), counts])
    solved = closed.least_squares(design, points.log_error, stacked * prior)
    if not np.isfinite(solved.coefficients[0]).all():
        return None
    shape = solved.residual.shape
    columns = [np.broadcast_to(column, shape) for column in solved.columns]
    first = [column[:1] for column in columns]
    free = np.ones(design.shape[1], bool)
    with np.errstate(all="ignore"):
        errors = spread.standard_errors(columns, solved.residual, stacked, prior)
    residual = solved.residual[:1]
    return _Raw(solved.coefficients[0], Status.CONVERGED, 0.5 * float((prior * residual[0] ** 2).sum()),
                spread.covariance(first, residual, prior, free), spread.classical(first, residual, prior, free), free,
                solved.coefficients[1:], errors[1:], np.zeros((len(counts), design.shape[1]), bool))


def _fit_iterative(points: Points, form: Form, estimator: Estimator, counts: np.ndarray, delta: float) -> _Raw | None:
    prior = prior_weights(points, estimator)
    solve = _varpro if estimator is Estimator.VARPRO else _log
    best, theta, objective = solve(points, form, prior, np.ones((1, len(points))), None, delta, estimator)
    if not np.isfinite(theta).all():
        return _raw_failed(form, best)
    inner = form.inside(theta)
    free = ~on_bound(inner, form.bounds)
    drawn = np.empty((0, len(theta)))
    if len(counts):
        drawn = form.inside(solve(points, form, prior, counts, theta, delta, estimator)[1])
    kind = estimator is Estimator.VARPRO
    columns, residual = _residuals(points, form, inner[None], kind)
    if _undetermined(form, columns, prior, free):
        return None
    drawn_free = ~on_bound(drawn, form.bounds)
    errors = np.empty_like(drawn)
    if len(counts):
        with np.errstate(all="ignore"):
            errors = spread.standard_errors(*_residuals(points, form, drawn, kind), counts, prior, drawn_free)
    return _Raw(inner, best, objective, spread.covariance(columns, residual, prior, free),
                spread.classical(columns, residual, prior, free), free, drawn, errors, ~drawn_free)


def _undetermined(form: Form, columns: list[np.ndarray], prior: np.ndarray, free: np.ndarray) -> bool:
    """Whether the models leave a parameter, or a combination of some, free to be anything, as R where none repeats data.

    Parameters on a bound have their own status; so have those of a term whose factor is there, and which has vanished.
    """
    told = free if form.owners is None else free & free[list(form.owners)]
    jacobian = np.stack([column[0] for column in columns], axis=1) * np.sqrt(prior)[:, None]
    lengths, width = np.linalg.norm(jacobian, axis=0), np.subtract(*form.bounds[::-1])
    seen = lengths * width >= _UNSEEN * np.sqrt(prior.sum())
    if not seen[told].all():
        return True
    # A factor on its bound, as an irreducible error of 0, is not told from the others' by being there.
    told = told | (~free & form.linear & seen)
    return bool(told.any()) and np.linalg.svd((jacobian / lengths)[:, told], compute_uv=False)[-1] < _UNSEEN


def _raw_failed(form: Form, status: Status) -> _Raw:
    size = len(form.parameters)
    empty = np.full(size, np.nan)
    return _Raw(empty, status, np.nan, np.full((size, size), np.nan), np.full((size, size), np.nan), np.ones(size, bool),
                np.empty((0, size)), np.empty((0, size)), np.empty((0, size), bool))


def _residuals(points: Points, form: Form, inner: np.ndarray, plain: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """Derivatives and residuals (b, n) of log error, or of error where `plain`."""
    with np.errstate(all="ignore"):
        predicted, slopes = form.derivatives(points, inner)
        if plain:
            return slopes, predicted - points.error
        return [slope / predicted for slope in slopes], np.log(predicted) - points.log_error


def _log(points, form, prior, counts, start, delta, estimator):
    """Status, parameters and objective of the log objectives; for draws (start given) parameters are (b, p)."""
    huber = delta if estimator is Estimator.ROBUST_LOG else None
    problem = log_problem(form, points, counts * prior, huber)
    if start is not None:
        first, elsewhere = _draw_starts(points, form, prior, start)

        def losses(inner: np.ndarray) -> np.ndarray:
            return prior * loss(_residuals(points, form, inner, plain=False)[1], huber)[1]

        return None, form.natural(_draws(problem, losses, first, counts, form.bounds, elsewhere)), None
    solved = _optimum(problem, form.inside(starts(points, form, prior)), form.bounds)
    row = int(np.argmin(solved.objective))
    return solved.status(row), form.natural(solved.inner[row]), float(solved.objective[row])


def _optimum(problem: Problem, begun: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]) -> Solution:
    """From all starts (k, p) in brief, and from where the best came to, to the end."""
    brief = gauss_newton(problem, begun, bounds, tolerance=1e-6, max_iterations=50)
    best = np.argsort(brief.objective, kind="stable")[:_FINISHED]
    return gauss_newton(problem, brief.inner[best], bounds, max_iterations=1000)


def _draws(problem: Problem, losses: Callable[[np.ndarray], np.ndarray], first: np.ndarray, counts: np.ndarray,
           bounds: tuple[np.ndarray, np.ndarray], elsewhere: np.ndarray) -> np.ndarray:
    """Coordinates (b, p) of the draws `counts` (b, n). `losses`: of each model (k, n) at coordinates (k, p).

    The first draws are searched from each of the starts `first` (k, p); each other one from the best for it of what these
    found, which is nearer. A draw that does not settle lies in a flat valley: it stays, or intervals would come out too
    narrow. A draw of few distinct models may have its optimum in another valley than all models have: it is searched from
    `elsewhere` (m, p) too.
    """
    few = (counts > 0).sum(axis=1) <= counts.shape[1] // 2 + 1

    def search(begun: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """The better of the runs of each draw, given draws (m,) and starts, (p,) or (m, p)."""
        rows = np.concatenate([draws for draws, _ in begun])
        starts = np.concatenate([np.broadcast_to(start, (len(draws), start.shape[-1])) for draws, start in begun])
        made = gauss_newton(lambda inner, kept: problem(inner, rows[kept]), starts, bounds, tolerance=1e-5,
                            max_iterations=20, last_step=True)
        order = np.lexsort((made.objective, rows))
        return made.inner[order[np.unique(rows[order], return_index=True)[1]]]

    pilots, others = np.split(np.arange(len(counts)), [_PILOTS])
    found = search([*((pilots, start) for start in first), *((pilots[few[pilots]], start) for start in elsewhere)])
    if not len(others):
        return found
    places = np.vstack([first, found])
    with np.errstate(all="ignore"):
        nearest = places[np.nan_to_num(counts[others] @ losses(places).T, nan=np.inf).argmin(axis=1)]
    return np.vstack([found, search([(others, nearest), *((others[few[others]], start) for start in elsewhere)])])


def _draw_starts(points: Points, form: Form, prior: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts (k, p) of all draws, and further ones (m, p) of sparse draws: the best combination of the form's grid.

    All draws start at the estimate and, where a factor of it lies on its bound, at the best of the grid with none there:
    a law without irreducible error and one with much of it are two optima, and draws may differ in which is lower.
    """
    inner = form.inside(theta)
    if form.grid is None:
        return inner[None], inner[None][:0]
    others = form.inside(varpro.grid_starts(form, points, prior / points.error**2, keep=1000))
    if not (on_bound(inner, form.bounds) & form.linear).any():
        return inner[None], others[:1]
    inside = others[~(on_bound(others, form.bounds) & form.linear).any(axis=1)]
    return np.vstack([inner, inside[:1]]), others[:1]


def _varpro(points, form, prior, counts, start, delta, estimator):
    problem = varpro.varpro_problem(form, points, counts * prior)
    bounds = tuple(side[~form.linear] for side in form.bounds)
    if start is not None:
        first, elsewhere = (one[:, ~form.linear] for one in _draw_starts(points, form, prior, start))

        def losses(nonlinear: np.ndarray) -> np.ndarray:
            whole = form.inside(varpro.assemble(form, points, nonlinear, prior[None]))
            return prior * _residuals(points, form, whole, plain=True)[1] ** 2

        inner = _draws(problem, losses, first, counts, bounds, elsewhere)
        return None, varpro.assemble(form, points, inner, counts * prior), None
    first = form.inside(varpro.grid_starts(form, points, prior))[:, ~form.linear]
    solved = _optimum(problem, first, bounds)
    row = int(np.argmin(solved.objective))
    theta = varpro.assemble(form, points, solved.inner[row:row + 1], prior[None])[0]
    status = solved.status(row)
    if status is Status.CONVERGED and on_bound(form.inside(theta), form.bounds).any():
        status = Status.BOUND_HIT  # a factor's bound: the search itself does not see it
    return status, theta, float(solved.objective[row])


def starts(points: Points, form: Form, prior: np.ndarray) -> np.ndarray:
    """Natural parameters (k, p) to start from: least squares, variable projection on a grid, or random within bounds."""
    if form.design is not None:
        solved = closed.least_squares(form.design(points), points.log_error, prior[None])
        return form.natural(solved.coefficients)
    if form.basis is not None and form.grid is not None:
        return varpro.grid_starts(form, points, prior / points.error**2)
    low, high = (np.clip(side, -40, 40) for side in form.bounds)
    drawn = np.random.default_rng(0).uniform(low, high, size=(_RANDOM_STARTS, len(low)))
    return form.natural(drawn)


def _finish(points: Points, form: Form, estimator: Estimator, raw: _Raw, delta: float) -> Fit:
    n, size = len(points), int(raw.free.sum())
    errors = np.sqrt(np.diag(raw.classical if not len(raw.draws) else raw.covariance))
    low, high, methods = [], [], []
    for j, (value, error) in enumerate(zip(raw.inner, errors)):
        below, above, method = _interval(raw, j, value, error, n, size, form.front)
        if not raw.free[j] and above - below < 1e-6 * max(1, abs(value)):  # all draws lie on the bound
            below, above, method = _from_bound(points, form, estimator, raw, j, delta)
        low, high, methods = [*low, below], [*high, above], [*methods, method]
    theta = form.natural(raw.inner)
    if not form.front:  # lines through a front have no bounds
        low, high = np.clip(low, *form.bounds), np.clip(high, *form.bounds)
    with np.errstate(all="ignore"):
        predicted = form.errors(points, theta)
    if not (np.isfinite(theta).all() and np.isfinite(predicted).all() and (predicted > 0).all()):
        return no_fit(form.name, estimator, form.names, len(points), Status.ABNORMAL)
    residual = np.log(predicted) - points.log_error
    scale = float(np.sqrt((residual**2).sum() / (n - size))) if n > size else np.nan
    covariance = raw.covariance if len(raw.draws) else raw.classical
    return Fit(form.name, estimator, form.names, theta, form.natural(low), form.natural(high),
               tuple(methods), raw.status, n, raw.objective, float(100 * np.abs(predicted - points.error).mean()), scale,
               covariance, form.natural(raw.draws))


def _from_bound(points: Points, form: Form, estimator: Estimator, raw: _Raw, j: int, delta: float):
    if estimator is Estimator.VARPRO:
        return np.nan, np.nan, Method.NONE
    huber = delta if estimator is Estimator.ROBUST_LOG else None
    freedom = len(points) - int(raw.free.sum()) - 1
    end = far_end(points, form, prior_weights(points, estimator), huber, raw.inner, j, freedom)
    return min(raw.inner[j], end), max(raw.inner[j], end), Method.PROFILE


def _interval(raw: _Raw, j: int, value: float, error: float, n: int, size: int, is_front: bool):
    if not len(raw.draws):
        if not raw.free[j]:
            return np.nan, np.nan, Method.NONE
        freedom = n - size if not is_front else min(n, front.BINS) - size
        return *bootstrap.t_interval(value, error, freedom), Method.T
    # On a bound a standard error means nothing: percentiles then. Those beside it suppose that it is not there: percentiles
    # may be wider, and the interval holds both.
    pressed = not raw.free[j] or raw.draws_at_bound[:, j].mean() > 0.02
    beside = value, value
    if not (pressed or is_front):
        below, above = bootstrap.studentised(value, error, raw.draws[:, j], raw.errors[:, j])
        if below <= value <= above:  # not where an end is NaN, nor where all draws lie on one side
            beside = below, above
            if raw.free.all():
                return below, above, Method.BOOTSTRAP_T
    below, above = bootstrap.expanded(raw.draws[:, j], n, n - size)
    if np.isfinite([below, above]).all():
        return min(below, beside[0]), max(above, beside[1]), Method.BOOTSTRAP_EXPANDED
    if not raw.free[j] or n <= size:
        return np.nan, np.nan, Method.NONE
    # Too few draws determine the law, as where one model alone lies far from the others.
    return *bootstrap.t_interval(value, np.sqrt(raw.classical[j, j]), n - size), Method.T

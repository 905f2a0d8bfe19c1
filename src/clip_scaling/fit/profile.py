"""How far from its bound a parameter may lie: where the profile of the objective says that it is too much.

Bootstrap draws cannot tell where all of them end on the bound (Andrews 2000): they would call it certain.
"""

from dataclasses import replace

import numpy as np
from scipy import stats

from .bootstrap import LEVEL
from .forms import Form
from .outcome import Points
from .solve import gauss_newton, log_problem

_HALVINGS = 24


def far_end(points: Points, form: Form, prior: np.ndarray, delta: float | None, inner: np.ndarray, place: int,
            freedom: int) -> float:
    """The end of the 95 % interval of coordinate `place` of the estimate `inner` (p,), which lies on a bound of `form`.

    All other parameters are fitted anew with this one held; it may go as far as the objective rises by no more than the
    F test with one and `freedom` degrees allows. `prior`, `delta`: weights (n,) and Huber's threshold of the objective.
    """
    low, high = (side[place] for side in form.bounds)
    near, far = (low, high) if inner[place] - low < high - inner[place] else (high, low)
    least, last = _held(points, form, prior, delta, [inner], place, near)
    limit = least * (1 + stats.f.ppf(LEVEL, 1, freedom) / freedom)
    inside, outside = near, far
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        reached, solved = _held(points, form, prior, delta, [inner, last], place, middle)
        if reached <= limit:
            inside, last = middle, solved
        else:
            outside = middle
    return float(inside)


def _held(points, form, prior, delta, starts, place: int, value: float) -> tuple[float, np.ndarray]:
    """Least objective with a coordinate held at `value`, and the coordinates (p,) there."""
    natural = float(form.natural(np.where(np.arange(len(starts[0])) == place, value, starts[0]))[place])
    parameters = list(form.parameters)
    parameters[place] = replace(parameters[place], low=natural, high=natural)
    held = replace(form, parameters=tuple(parameters))
    made = gauss_newton(log_problem(held, points, prior[None], delta), np.array(starts), held.bounds, max_iterations=60)
    best = int(np.argmin(made.objective))
    return float(made.objective[best]), made.inner[best]

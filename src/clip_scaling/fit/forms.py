"""Forms of scaling laws, and the registry that a new form enters with one function and one registration.

A form's function takes the models (`Points`) and its parameters, and returns errors:

    @register(Parameter("beta", 1e-9, 1e15), Parameter("alpha", -5, 5, positive=False))
    def my_law(x, beta, alpha):
        return beta * x.compute**alpha

Parameters come with shape (b, 1), one row a bootstrap draw, and broadcast against the (n,) arrays of `x`. Derivatives are
taken by complex steps unless the form brings its own, so the function is built from analytic numpy operations.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..core.errors import UserError
from .outcome import Points

_STEP = 1e-30  # a complex step has no cancellation: it can be as small as it likes


@dataclass(frozen=True)
class Parameter:
    """A parameter, its bounds, and how it is searched: positive ones in their logarithm."""

    name: str
    low: float
    high: float
    positive: bool = True
    linear: bool = False  # factor of a basis function: variable projection solves for it
    computes: bool = False  # a compute: its bounds are multiples of the largest of the models


@dataclass(frozen=True)
class Form:
    """A law. `predict(points, *theta)` gives errors (b, n).

    `needs`: arrays of Points that it reads. `design(points)`: (n, p) columns where the law is linear in log error (closed
    form). `basis(points, *nonlinear)`: functions (b, n) whose factors are the linear parameters. `grid(points)`: values
    of the other parameters to start from. `partials(points, *theta)`: errors, and derivatives by internal coordinates.
    `owners`: for each parameter the place of the factor whose term it belongs to, where the law is a sum of such terms.
    """

    name: str
    parameters: tuple[Parameter, ...]
    predict: Callable[..., np.ndarray]
    needs: tuple[str, ...] = ("compute",)
    design: Callable[[Points], np.ndarray] | None = None
    basis: Callable[..., list[np.ndarray]] | None = None
    grid: Callable[[Points], list[np.ndarray]] | None = None
    partials: Callable[..., tuple[np.ndarray, list[np.ndarray]]] | None = None
    owners: tuple[int, ...] | None = None
    front: bool = False  # fitted to a front of the models, not to all of them

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def linear(self) -> np.ndarray:
        return np.array([parameter.linear for parameter in self.parameters])

    @cached_property
    def positive(self) -> np.ndarray:
        return np.array([parameter.positive for parameter in self.parameters])

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds in internal coordinates, (p,) each."""
        low = np.array([parameter.low for parameter in self.parameters], dtype=float)
        high = np.array([parameter.high for parameter in self.parameters], dtype=float)
        return self.inside(low), self.inside(high)

    def bounded_by(self, points: Points) -> "Form":
        """The same form with every bound that is relative to the models' compute written out."""
        most = points.compute.max()
        return replace(self, parameters=tuple(
            replace(one, low=one.low * most, high=one.high * most, computes=False) if one.computes else one
            for one in self.parameters))

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Internal coordinates (..., p) of natural parameters."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.positive, np.log(np.where(self.positive, theta, 1.0)), theta)

    def natural(self, inner: np.ndarray) -> np.ndarray:
        """Natural parameters (..., p) of internal coordinates."""
        with np.errstate(over="ignore"):
            return np.where(self.positive, np.exp(np.where(self.positive, inner, 0.0)), inner)

    def errors(self, points: Points, theta: np.ndarray) -> np.ndarray:
        """Predicted errors (b, n) for parameters (b, p), or (n,) for parameters (p,)."""
        rows = np.atleast_2d(theta)
        made = self.predict(points, *(column[:, None] for column in rows.T))
        made = np.broadcast_to(made, (len(rows), len(points)))
        return made if np.ndim(theta) == 2 else made[0]

    def derivatives(self, points: Points, inner: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Errors (b, n) and p derivatives (b, n) by the internal coordinates `inner` (b, p)."""
        theta = [column[:, None] for column in self.natural(inner).T]
        if self.partials is not None:
            return self.partials(points, *theta)
        shape, rows = (len(inner), len(points)), []
        for place, (value, positive) in enumerate(zip(theta, self.positive)):
            moved = [*theta[:place], value + 1j * _STEP, *theta[place + 1:]]
            slope = np.broadcast_to(np.imag(self.predict(points, *moved)) / _STEP, shape)
            rows.append(slope * value if positive else slope)
        return np.broadcast_to(self.predict(points, *theta), shape), rows


_FORMS: dict[str, Form] = {}


def register(*parameters: Parameter, name: str | None = None, **how: object) -> Callable:
    """Register the decorated function as a form; `how` are further fields of Form. The function stays as it is."""

    def add(predict: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        form = Form(name or predict.__name__, parameters, predict, **how)
        _FORMS[form.name] = form
        return predict

    return add


def form_named(name: str) -> Form:
    """Raises UserError for an unknown form."""
    from . import laws  # noqa: F401 - registers the forms of this package

    if name not in _FORMS:
        raise UserError(f"unknown form {name!r}", mend=f"known: {', '.join(sorted(_FORMS))}")
    return _FORMS[name]


def form_names() -> list[str]:
    from . import laws  # noqa: F401

    return sorted(_FORMS)



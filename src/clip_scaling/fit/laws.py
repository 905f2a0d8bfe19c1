"""The forms of this package. C: total compute, GMAC; G: GMAC per sample; S: samples seen; U: unique samples."""

import numpy as np

from .forms import Parameter, register
from .outcome import Points

_FACTOR = {"low": 1e-12, "high": 1e40}


@register(Parameter("e", 1e-9, 1), design=lambda x: np.ones((len(x), 1)))
def constant(x: Points, e):
    """No trend: what any law has to beat."""
    return e + 0 * x.compute


def _log_compute(x: Points) -> np.ndarray:
    return np.column_stack([np.ones(len(x)), np.log(x.compute)])


@register(Parameter("beta", **_FACTOR), Parameter("alpha", -5, 5, positive=False), design=_log_compute)
def power(x: Points, beta, alpha):
    """E = beta C^alpha (paper, Section 4.1)."""
    return beta * x.compute**alpha


@register(Parameter("beta", **_FACTOR), Parameter("alpha", -5, 5, positive=False), design=_log_compute, front=True)
def binned_front(x: Points, beta, alpha):
    """E = beta C^alpha through the least error of each of 5 bins of compute, as the paper fits (see front.py).

    Below 6 models there are no bins, as the paper has none for its 3 CLIP-WIT models.
    """
    return beta * x.compute**alpha


_FLOOR = Parameter("e", 0, 1, positive=False, linear=True)
_DECAY = Parameter("alpha", -3, -0.005, positive=False)
_EXPONENTS = np.array([-2, -1, -0.6, -0.4, -0.3, -0.2, -0.15, -0.1, -0.07, -0.04, -0.02])


def _power_floor_partials(x: Points, e, beta, alpha):
    log_c = np.log(x.compute)
    term = np.exp(np.log(beta) + alpha * log_c)
    return e + term, [np.ones_like(term), term, term * log_c]


@register(
    _FLOOR, Parameter("beta", **_FACTOR, linear=True), _DECAY, partials=_power_floor_partials, owners=(0, 1, 1),
    basis=lambda x, alpha: [1 + 0 * alpha * x.compute, x.compute**alpha], grid=lambda x: [_EXPONENTS],
)
def power_floor(x: Points, e, beta, alpha):
    """E = e + beta C^alpha, with irreducible error e."""
    return e + beta * x.compute**alpha


def _saturating_partials(x: Points, a, b, c, d):
    log_c = np.log(x.compute + b)
    term = np.exp(np.log(a) + c * log_c)
    return term + d, [term, term * c / (x.compute + b), term * log_c, np.ones_like(term)]


@register(
    Parameter("a", **_FACTOR, linear=True), Parameter("b", 0, 1000, positive=False, computes=True),
    Parameter("c", -3, -0.005, positive=False), Parameter("d", 0, 1, positive=False, linear=True),
    partials=_saturating_partials, owners=(0, 0, 0, 3),
    basis=lambda x, b, c: [(x.compute + b) ** c, 1 + 0 * (b + c) * x.compute],
    grid=lambda x: [x.compute.min() * np.array([0, 0.1, 0.5, 2, 10, 50]), _EXPONENTS],
)
def saturating(x: Points, a, b, c, d):
    """E = a (C + b)^c + d: levels off at small compute and at large (Nezhurina et al. 2025).

    Of b no more than a thousand times the largest compute can be told: the law is an exponential in C then.
    """
    return a * (x.compute + b) ** c + d


_A = Parameter("a", **_FACTOR, linear=True)
_X = Parameter("x", 0.005, 5, positive=False)
_B = Parameter("b", **_FACTOR, linear=True)
_Y = Parameter("y", 0.005, 5, positive=False)
_R = Parameter("R", 1e-3, 1e4)
_SCALES = ("gmacs", "samples")
_GRID = [np.array([0.05, 0.12, 0.25, 0.4, 0.7, 1.2])] * 2
_RETURNS = np.array([0.3, 1, 3, 10, 30, 100])


def effective_samples(x: Points, R):  # noqa: N803 - the constant's name in the literature
    """S for S <= U, else U (1 + R (1 - exp(-(S/U - 1)/R))): repeats are worth less and less (Muennighoff et al. 2023)."""
    repeats = np.maximum(x.samples / x.unique - 1, 0)
    return np.minimum(x.samples, x.unique) + x.unique * R * -np.expm1(-repeats / R)


def _effective_partials(x: Points, R):  # noqa: N803
    """log S_eff (b, n) and its derivative by log R."""
    ratio = np.maximum(x.samples / x.unique - 1, 0) / R
    left = np.exp(-ratio)
    gain = R * (1 - left)
    log_s = np.log(np.minimum(x.samples, x.unique)) + np.log(1 + gain)
    return log_s, (gain - R * ratio * left) / (1 + gain)


def _model_term(x: Points, a, exponent):
    """a G^-x and its derivatives; a grid has few architectures, so exponentials are taken once for each."""
    sizes, where = np.unique(x.gmacs, return_inverse=True)
    log_g = np.log(sizes)
    term = np.exp(np.log(a) - exponent * log_g)
    return term[:, where], (-term * log_g)[:, where]


def _three_variable_partials(x: Points, a, x_, b, y, R):  # noqa: N803
    model, model_slope = _model_term(x, a, x_)
    log_s, slope = _effective_partials(x, R)
    data = np.exp(np.log(b) - y * log_s)
    return model + data, [model, model_slope, data, -data * log_s, -data * y * slope]


@register(
    _A, _X, _B, _Y, _R, needs=(*_SCALES, "unique"), partials=_three_variable_partials, owners=(0, 0, 2, 2, 2),
    basis=lambda x, x_, y, R: [x.gmacs**-x_ + 0 * y, effective_samples(x, R) ** -y + 0 * x_],
    grid=lambda x: [*_GRID, _RETURNS],
)
def three_variable(x: Points, a, x_, b, y, R):  # noqa: N803
    """E = a G^-x + b S_eff^-y, with a saturating return of repeated samples."""
    return a * x.gmacs**-x_ + b * effective_samples(x, R) ** -y


def _three_variable_floor_partials(x: Points, e, a, x_, b, y, R):  # noqa: N803
    error, rows = _three_variable_partials(x, a, x_, b, y, R)
    return e + error, [np.ones_like(error), *rows]


@register(
    _FLOOR, _A, _X, _B, _Y, _R, needs=(*_SCALES, "unique"), partials=_three_variable_floor_partials,
    owners=(0, 1, 1, 3, 3, 3),
    basis=lambda x, x_, y, R: [1 + 0 * (x_ + y) * x.gmacs, x.gmacs**-x_ + 0 * y, effective_samples(x, R) ** -y + 0 * x_],
    grid=lambda x: [*_GRID, _RETURNS],
)
def three_variable_floor(x: Points, e, a, x_, b, y, R):  # noqa: N803
    """The same with irreducible error: E = e + a G^-x + b S_eff^-y."""
    return e + a * x.gmacs**-x_ + b * effective_samples(x, R) ** -y


def _two_term_partials(x: Points, a, x_, b, y):
    model, model_slope = _model_term(x, a, x_)
    log_s = np.log(x.samples)
    data = np.exp(np.log(b) - y * log_s)
    return model + data, [model, model_slope, data, -data * log_s]


@register(
    _A, _X, _B, _Y, needs=_SCALES, partials=_two_term_partials, owners=(0, 0, 2, 2),
    basis=lambda x, x_, y: [x.gmacs**-x_ + 0 * y, x.samples**-y + 0 * x_], grid=lambda x: _GRID,
)
def three_variable_no_repetition(x: Points, a, x_, b, y):
    """E = a G^-x + b S^-y: as if each repeat were worth a new sample."""
    return a * x.gmacs**-x_ + b * x.samples**-y


def _log_scales(x: Points) -> np.ndarray:
    return np.column_stack([np.ones(len(x)), -np.log(x.gmacs), -np.log(x.samples), -np.log(x.unique)])


@register(
    Parameter("a", **_FACTOR), *(Parameter(name, -5, 5, positive=False) for name in "xyz"),
    needs=(*_SCALES, "unique"), design=_log_scales,
)
def three_variable_product(x: Points, a, x_, y, z):
    """E = a G^-x S^-y U^-z: a product, linear in logarithms."""
    return a * x.gmacs**-x_ * x.samples**-y * x.unique**-z

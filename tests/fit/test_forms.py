"""Derivatives against finite differences, the registry, and properties of the laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.fit import forms
from clip_scaling.fit.estimate import fit
from clip_scaling.fit.forms import Parameter, form_named, register
from clip_scaling.fit.laws import effective_samples
from clip_scaling.fit.outcome import Points, Status
from clip_scaling.fit.solve import log_problem
from clip_scaling.fit.varpro import varpro_problem
from ladders import TRUE, ladder


@pytest.mark.parametrize("form", TRUE)
def test_derivatives_agree_with_finite_differences(form):
    known, points = form_named(form), ladder()
    inner = known.inside(np.array(TRUE[form]))
    predicted, slopes = known.derivatives(points, inner[None])
    assert predicted[0] == pytest.approx(known.errors(points, np.array(TRUE[form])))
    for k, slope in enumerate(slopes):
        step = 1e-6 * max(1, abs(inner[k]))
        up, down = (known.errors(points, known.natural(inner + sign * step * np.eye(len(inner))[k])) for sign in (1, -1))
        assert slope[0] == pytest.approx((up - down) / (2 * step), rel=2e-4, abs=1e-9 * abs(up).max() / step * 1e-3)


@pytest.mark.parametrize("form", [name for name in TRUE if form_named(name).partials is not None])
def test_written_derivatives_agree_with_complex_steps(form):
    from dataclasses import replace

    known, points = form_named(form), ladder()
    inner = known.inside(np.array([TRUE[form], np.array(TRUE[form]) * 1.1]))
    for own, made in zip(known.derivatives(points, inner)[1], replace(known, partials=None).derivatives(points, inner)[1]):
        assert own == pytest.approx(made, rel=1e-10)


@pytest.mark.parametrize("delta", [None, 0.01])
def test_gradient_of_the_objective(delta):
    known, points = form_named("three_variable_product"), ladder(0.05)
    problem = log_problem(known, points, np.random.default_rng(0).uniform(0, 3, (1, 36)), delta)
    inner = known.inside(np.array(TRUE["three_variable_product"]))[None] + 0.01
    gradient = problem(inner, np.array([0]))[3][:, 0]
    for k in range(4):
        step = np.eye(4)[k] * 1e-6
        up, down = (problem(inner + sign * step, np.array([0]))[1][0] for sign in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / 2e-6, rel=1e-4)


def test_gradient_of_the_projected_objective():
    known, points = form_named("three_variable"), ladder(0.05)
    problem = varpro_problem(known, points, np.ones((1, 36)))
    inner = known.inside(np.array(TRUE["three_variable"]))[None, ~known.linear]
    gradient = problem(inner, np.array([0]))[3][:, 0]
    for k in range(3):
        step = np.eye(3)[k] * 1e-6
        up, down = (problem(inner + sign * step, np.array([0]))[1][0] for sign in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / 2e-6, rel=1e-3)


@given(repeats=st.floats(0, 1e4), r=st.floats(0.01, 1e4))
def test_effective_samples_lie_between_unique_and_seen(repeats, r):
    unique = 1e8
    points = Points(("m",), np.ones(1), np.ones(1), np.ones(1), np.array([unique * (1 + repeats)]), np.array([unique]))
    value = effective_samples(points, np.array([[r]]))[0, 0]
    assert unique * (1 - 1e-12) <= value <= unique * (1 + repeats) * (1 + 1e-9)
    assert value <= unique * (1 + r) * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(alpha=st.floats(-0.6, -0.02), level=st.floats(0.1, 0.6), scale=st.floats(1e-3, 1e6))
def test_power_law_does_not_depend_on_the_unit_of_compute(alpha, level, scale):
    compute = np.geomspace(1e9, 1e12, 8)
    error = level * (compute / 1e9) ** alpha * np.exp(0.02 * np.sin(np.arange(8)))
    laws = [fit(Points(("m",) * 8, compute * unit, error), "power", draws=0) for unit in (1, scale)]
    assert laws[0].value("alpha") == pytest.approx(laws[1].value("alpha"), rel=1e-7)
    assert laws[0].insample_mae_pp == pytest.approx(laws[1].insample_mae_pp, rel=1e-7)


def test_a_new_form_is_a_function_and_a_registration():
    try:
        @register(Parameter("scale", 0.01, 10), Parameter("slope", 0.001, 1))
        def logarithmic(x, scale, slope):
            return scale / (1 + slope * np.log(x.compute))

        points = ladder()
        points = Points(points.names, points.compute, form_named("logarithmic").errors(points, np.array([0.9, 0.05])))
        law = fit(points, "logarithmic", draws=100)
        assert law.status is Status.CONVERGED
        assert law.theta == pytest.approx([0.9, 0.05], rel=1e-5)
    finally:
        forms._FORMS.pop("logarithmic", None)


def test_unknown_form_is_told():
    with pytest.raises(UserError, match="known: .*power"):
        form_named("powr")

"""Recovery, agreement with a second solver, standard errors, statuses."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution

from clip_scaling.fit.bootstrap import expanded, multiplicities, t_interval
from clip_scaling.fit.estimate import _interval, _Raw, fit, prior_weights
from clip_scaling.fit.forms import form_named, form_names
from clip_scaling.fit.outcome import Estimator, Method, Points, Status
from clip_scaling.fit.solve import log_problem
from ladders import TRUE, ladder


def test_every_form_has_true_parameters_here():
    assert set(TRUE) <= set(form_names())


@pytest.mark.parametrize("form", [name for name in TRUE if name != "binned_front"])
def test_recovers_the_law_without_noise(form):
    law = fit(ladder(form=form), form, draws=0)
    assert law.status is Status.CONVERGED
    assert law.theta == pytest.approx(TRUE[form], rel=2e-4)
    assert law.insample_mae_pp < 1e-5


@pytest.mark.parametrize("form", ["power_floor", "saturating", "three_variable", "three_variable_no_repetition"])
def test_variable_projection_recovers_the_law_too(form):
    law = fit(ladder(form=form), form, Estimator.VARPRO, draws=0)
    assert law.status is Status.CONVERGED
    assert law.theta == pytest.approx(TRUE[form], rel=2e-3)


@pytest.mark.parametrize("form", ["power_floor", "three_variable", "three_variable_floor"])
@pytest.mark.parametrize("estimator", [Estimator.LOG_LS, Estimator.LOG_LS_BINOMIAL, Estimator.VARPRO])
def test_agrees_with_scipy(form, estimator):
    """Another solver from our estimate finds nothing lower, and from the truth the same parameters and covariance."""
    points, known = ladder(0.02, form=form), form_named(form)
    law = fit(points, form, estimator, draws=0)
    root = np.sqrt(prior_weights(points, estimator))

    def residual(inner):
        predicted = known.errors(points, known.natural(inner))
        return predicted - points.error if estimator is Estimator.VARPRO else root * (np.log(predicted) - points.log_error)

    low, high = known.bounds
    solved = least_squares(residual, known.inside(np.array(TRUE[form])), bounds=(low, high), x_scale="jac", xtol=1e-15, ftol=1e-15,
                           gtol=1e-15, max_nfev=5000)
    assert law.objective <= solved.cost * (1 + 1e-9)
    errors = np.sqrt(np.diag(np.linalg.inv(solved.jac.T @ solved.jac) * 2 * solved.cost / (36 - len(law.theta))))
    # Standard errors from a loose tolerance would be off by far more than a hundredth of themselves.
    assert (np.abs(known.inside(law.theta) - solved.x) < 0.01 * errors).all()
    assert np.sqrt(np.diag(law.covariance)) == pytest.approx(errors, rel=0.01)


def test_huber_agrees_with_scipy_and_shrugs_off_an_outlier():
    points = ladder(0.01, form="power")
    error = points.error.copy()
    error[3] *= 1.8
    points = Points(points.names, points.compute, error)
    law, plain = fit(points, "power", Estimator.ROBUST_LOG, draws=0, delta=0.01), fit(points, "power", draws=0)
    form = form_named("power")
    solved = least_squares(lambda u: np.log(form.errors(points, form.natural(u))) - points.log_error, form.inside(plain.theta),
                           loss="huber", f_scale=0.01, x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert law.objective == pytest.approx(solved.cost, rel=1e-7)
    assert law.theta == pytest.approx(form.natural(solved.x), rel=1e-4)
    assert abs(law.value("alpha") + 0.1) < abs(plain.value("alpha") + 0.1)


def test_bootstrap_draws_are_optima():
    """A draw's estimate is what the same solver finds for the models drawn, each as often as it was drawn."""
    points = ladder(0.02)
    law = fit(points, "three_variable", draws=40)
    counts = multiplicities(36, 40).astype(int)
    for k in (0, 7, 39):
        drawn = fit(points.take(np.repeat(np.arange(36), counts[k])), "three_variable", draws=0)
        residual = np.log(form_named("three_variable").errors(points, law.draws[k])) - points.log_error
        assert 0.5 * counts[k] @ residual**2 == pytest.approx(drawn.objective, rel=1e-4)


def test_sparse_draws_find_their_own_valley(published_points):
    """Draws with few distinct models of 29 may have their optimum far from the estimate of all models."""
    points = published_points("imagenet1k")
    law, counts = fit(points, "three_variable"), multiplicities(29, 4000).astype(int)
    sparsest = np.argsort((counts > 0).sum(axis=1), kind="stable")[:32]
    residual = np.log(form_named("three_variable").errors(points, law.draws[sparsest])) - points.log_error
    reached = 0.5 * (counts[sparsest] * residual**2).sum(axis=1)
    alone = [fit(points.take(np.repeat(np.arange(29), counts[k])), "three_variable", draws=0).objective for k in sparsest]
    assert reached == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("form", ["power_floor", "saturating", "three_variable", "three_variable_floor"])
@pytest.mark.parametrize("dataset", ["voc2007", "vtab/pcam", "vtab/dmlab"])
def test_no_draw_ends_above_where_it_may_begin(dataset, form, published_points):
    """On targets with hardly a trend valleys are flat and steps long: none may end at a worse place than the estimate."""
    points, law = published_points(dataset), form_named(form)
    fitted, counts = fit(points, law), multiplicities(len(points), 4000)
    places = np.vstack([fitted.theta, fitted.draws])
    with np.errstate(all="ignore"):
        squares = (np.log(law.errors(points, places)) - points.log_error) ** 2
    begun, ended = counts @ squares[0], (counts * squares[1:]).sum(axis=1)
    assert (ended <= begun * (1 + 1e-9)).all()


@pytest.mark.parametrize("delta", [None, 0.01])
@pytest.mark.parametrize("form", ["power_floor", "saturating", "three_variable_floor"])
def test_draws_at_one_place_are_taken_together(form, delta):
    """The short cut for many draws at few places gives what each draw alone gives, but for the step in the factors."""
    points, law = ladder(0.02, form=form), form_named(form)
    weights = multiplicities(36, 500)
    places = law.inside(np.array([TRUE[form], TRUE[form]])) * np.array([[1.0], [1.01]])
    together = log_problem(law, points, weights, delta)(np.repeat(places, 250, axis=0), np.arange(500))
    assert (together[0] == np.repeat(places, 250, axis=0)).all()  # no step was taken: this was the short cut
    plain = replace(law, owners=None)
    for k in (0, 249, 250, 499):
        alone = log_problem(plain, points, weights, delta)(places[[k // 250]], np.array([k]))
        for mine, other in zip(together[1:], alone[1:]):
            assert mine[..., k] == pytest.approx(other[..., 0], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("form, models", [("power", 2), ("power_floor", 3), ("three_variable", 5)])
def test_too_few_models_are_degenerate(form, models):
    law = fit(ladder(0.01).take(np.arange(models)), form)
    assert law.status is Status.DEGENERATE and not law.ok
    assert np.isnan(law.theta).all() and np.isnan(law.low).all() and len(law.draws) == 0


def test_one_compute_is_degenerate():
    points = ladder(0.01).take(np.arange(8))
    same = Points(points.names, np.full(8, 1e10), points.error)
    assert fit(same, "power").status is Status.DEGENERATE
    assert fit(same, "constant", draws=0).status is Status.CONVERGED


@pytest.mark.parametrize("form, change", [
    ("three_variable", {"unique": np.full(36, 1e12)}),  # none repeats data: R may be anything
    ("three_variable_floor", {"unique": np.full(36, 1e12)}),
    ("three_variable", {"gmacs": np.full(36, 20.6)}),  # one size: a and x make one number
])
def test_what_models_leave_open_is_degenerate(form, change):
    law = fit(replace(ladder(0.01), **change), form, draws=100)
    assert law.status is Status.DEGENERATE and np.isnan(law.theta).all()


@pytest.mark.parametrize("form, computes", [("power_floor", 2), ("saturating", 2), ("saturating", 3)])
@pytest.mark.parametrize("estimator", ["log_ls", "robust_log", "varpro"])
def test_fewer_computes_than_parameters_are_degenerate(form, computes, estimator):
    """Any irreducible error goes with some exponent then: one of 0, on its bound, is no better told than the others."""
    compute = np.repeat(np.geomspace(1e9, 1e11, computes), 5)
    error = 30 * compute**-0.2 * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(compute)))
    assert fit(Points(("m",) * len(compute), compute, error), form, estimator, draws=100).status is Status.DEGENERATE


def test_where_all_draws_lie_on_a_bound_the_profile_tells(published_points):
    """No draw of this set has an irreducible error, and yet one of a third would fit hardly worse."""
    points, form = published_points("fgvc_aircraft"), form_named("power_floor")
    law = fit(points, form)
    low, high = law.interval("e")
    assert law.methods[0] is Method.PROFILE and low == law.value("e") == 0 and 0.2 < high < 0.6

    def least(e: float) -> float:
        rest = least_squares(lambda u: np.log(e + np.exp(u[0] + u[1] * np.log(points.compute))) - points.log_error,
                             [1.0, -0.1], x_scale=[1.0, 0.05], xtol=1e-14, ftol=1e-14)
        return rest.cost

    rise = (least(high) / least(1e-9) - 1) * (len(points) - 3)
    assert rise == pytest.approx(f_distribution.ppf(0.95, 1, len(points) - 3), rel=0.01)


def test_where_few_draws_determine_the_law_students_interval_serves():
    """A draw without the only model of large compute has no slope."""
    points = Points(("m",) * 7, np.array([1e9] * 6 + [1e11]), np.array([0.5, 0.51, 0.49, 0.52, 0.5, 0.505, 0.3]))
    law = fit(points, "power", draws=100)
    assert set(law.methods) == {Method.T} and (law.low < law.theta).all() and (law.theta < law.high).all()


def test_standard_errors_beside_a_bound_are_those_of_the_smaller_form(published_points):
    """Without irreducible error the form with a floor is the power law, leverages included."""
    points = published_points("imagenet1k")
    floor, power = (fit(points, form, draws=100) for form in ("power_floor", "power"))
    assert floor.status is Status.BOUND_HIT and floor.value("e") == 0
    assert floor.covariance[1:, 1:] == pytest.approx(power.covariance, rel=1e-6)
    assert not floor.covariance[0].any()


@pytest.mark.parametrize("form", ["saturating", "power_floor", "three_variable"])
def test_the_unit_of_compute_changes_no_prediction(form):
    points = ladder(0.02, form="saturating")
    flops = replace(points, compute=points.compute * 1e9)
    mine, other = (fit(some, form, draws=200) for some in (points, flops))
    assert other.status is mine.status
    assert form_named(form).errors(flops, other.theta) == pytest.approx(form_named(form).errors(points, mine.theta), rel=1e-6)
    assert other.value(other.parameters[-1]) == pytest.approx(mine.value(mine.parameters[-1]), rel=1e-4)


def test_a_closed_form_keeps_to_its_bounds():
    """An exponent of -20 over a narrow range of compute: at the bound, as other solvers would end, and inside its interval."""
    compute = np.geomspace(1e10, 1.2e10, 12)
    points = Points(("m",) * 12, compute, 0.5 * (compute / 1e10) ** -20)
    law = fit(points, "power", draws=200)
    assert law.status is Status.BOUND_HIT and (law.value("alpha") == -5 or law.value("beta") == pytest.approx(1e40))
    assert ((law.low <= law.theta) & (law.theta <= law.high)).all()


def test_no_irreducible_error_hits_its_bound():
    law = fit(ladder(form="power", theta=[5.0, -0.1], noise=0.0), "power_floor", draws=0)
    steeper = fit(ladder(form="saturating", theta=[4.0, 2e11, -0.1, 0.0]), "power_floor", draws=0)
    assert law.value("e") == pytest.approx(0, abs=1e-4)
    assert steeper.status is Status.BOUND_HIT and steeper.value("e") == 0


def test_few_models_get_students_interval():
    law = fit(ladder(0.01, form="power").take(np.array([0, 12, 24])), "power")
    assert set(law.methods) == {Method.T} and len(law.draws) == 0
    points = ladder(0.01, form="power").take(np.array([0, 12, 24]))
    slope, cov = np.polyfit(np.log(points.compute), points.log_error, 1, cov="unscaled")
    residual = points.log_error - np.polyval(slope, np.log(points.compute))
    half = 12.706204736 * np.sqrt(cov[0, 0] * residual @ residual)
    assert law.interval("alpha") == pytest.approx((slope[0] - half, slope[0] + half), rel=1e-6)


def test_missing_arrays_are_named():
    points = ladder(0.01)
    with pytest.raises(ValueError, match="unique"):
        fit(Points(points.names, points.compute, points.error, points.gmacs, points.samples), "three_variable")
    with pytest.raises(ValueError, match="items"):
        fit(Points(points.names, points.compute, points.error), "power", Estimator.LOG_LS_BINOMIAL)
    with pytest.raises(ValueError, match="front"):
        fit(points, "binned_front", Estimator.ROBUST_LOG)
    with pytest.raises(ValueError, match="basis"):
        fit(points, "three_variable_product", Estimator.VARPRO)


def test_intervals_from_draws():
    draws = np.random.default_rng(0).standard_normal(20_000)
    low, high = expanded(draws, 30, 28)
    assert low < -1.96 < 1.96 < high and high < 2.3
    assert np.isnan(expanded(draws[:50], 30, 28)).all()
    assert t_interval(np.array(1.0), np.array(0.1), 1) == pytest.approx((1 - 1.2706204736, 1 + 1.2706204736))


def test_an_interval_holds_its_estimate():
    """Draws that all lie on one side would leave it outside a studentised interval: percentiles then, up to the estimate."""
    above = np.random.default_rng(0).uniform(1.0, 2.0, (400, 1))
    one = np.ones((1, 1))
    raw = _Raw(np.zeros(1), Status.CONVERGED, 1.0, one, one, np.ones(1, bool), above, np.full((400, 1), 0.1),
               np.zeros((400, 1), bool))
    low, high, method = _interval(raw, 0, 0.0, 0.1, 30, 1, False)
    assert low == 0 and high > 1.9 and method is Method.BOOTSTRAP_EXPANDED


def test_the_same_fit_twice_is_the_same():
    points = ladder(0.02)
    first, second = (fit(points, "three_variable", draws=200) for _ in range(2))
    assert (first.draws == second.draws).all() and (first.low == second.low).all()

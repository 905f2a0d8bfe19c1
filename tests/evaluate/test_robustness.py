"""Effective robustness: a planted line is recovered, agrees with scipy, and degenerate inputs are named."""

import numpy as np
import pytest
from scipy import stats

from clip_scaling.evaluate.robustness import Status, fit_trend, logit

ACCURACY = np.array([0.1, 0.25, 0.4, 0.6, 0.8])


def shifted(slope: float, intercept: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(slope * logit(ACCURACY) + intercept)))


def test_recovers_a_planted_line():
    trend = fit_trend(ACCURACY, shifted(0.8, -0.5))
    assert trend.status is Status.FITTED and trend.n_models == 5
    assert (trend.slope, trend.intercept, trend.r_squared) == pytest.approx((0.8, -0.5, 1.0))
    assert trend.effective(ACCURACY, shifted(0.8, -0.5)) == pytest.approx(np.zeros(5), abs=1e-12)
    assert trend.effective(0.5, trend.expected(0.5) + 0.07) == pytest.approx(0.07)


def test_agrees_with_scipy():
    noisy = np.clip(shifted(0.9, -0.2) + np.random.default_rng(0).normal(0, 0.03, 5), 0.01, 0.99)
    expected = stats.linregress(logit(ACCURACY), logit(noisy))
    found = fit_trend(ACCURACY, noisy)
    assert (found.slope, found.intercept) == pytest.approx((expected.slope, expected.intercept))
    assert found.r_squared == pytest.approx(expected.rvalue**2)


def test_models_without_a_logit_do_not_enter():
    trend = fit_trend(np.append(ACCURACY, [0.0, 1.0]), np.append(shifted(0.8, -0.5), [0.3, 0.9]))
    assert trend.n_models == 5 and trend.slope == pytest.approx(0.8)


def test_degenerate_inputs_are_named():
    assert fit_trend([0.1, 0.2], [0.1, 0.2]).status is Status.TOO_FEW
    assert fit_trend([0.3] * 4, [0.1, 0.2, 0.3, 0.4]).status is Status.FLAT

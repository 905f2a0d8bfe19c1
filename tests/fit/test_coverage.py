"""95 % intervals cover the truth in 93 to 97 % of simulated ladders.

A ladder: models at random compute over 2.5 decades, log error scattered about a known power law, equally, more at large
compute, or skewed. The quick check takes few ladders, so its bounds hold the chance of so few.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from clip_scaling.fit.estimate import fit
from clip_scaling.fit.forms import form_named
from clip_scaling.fit.outcome import Points

ALPHA, BETA = -0.12, 8.0
NOISE = {
    "equal": lambda rng, x: rng.standard_normal(len(x)),
    "growing": lambda rng, x: rng.standard_normal(len(x)) * (0.5 + x / x.max()),
    "skewed": lambda rng, x: rng.gamma(4.0, 0.5, len(x)) - 2.0,
}


def covered(models: int, noise: str, ladders: int, draws: int) -> np.ndarray:
    """(ladders, 2): whether the intervals of beta and alpha held the truth."""
    made = []
    for seed in range(ladders):
        rng = np.random.default_rng([models, seed])
        x = np.sort(rng.uniform(0, 2.5, models))
        compute = 1e10 * 10**x
        error = BETA * compute**ALPHA * np.exp(0.04 * NOISE[noise](rng, x))
        law = fit(Points(("m",) * models, compute, np.minimum(error, 1)), "power", draws=draws, seed=seed)
        made.append([low <= true <= high for (low, high), true in
                     zip((law.interval("beta"), law.interval("alpha")), (BETA, ALPHA))])
    return np.array(made)


@pytest.mark.parametrize("models", [3, 10, 30])
def test_quick(models):
    ladders = 150
    hits = covered(models, "equal", ladders, draws=400)[:, 1].sum()
    low, high = stats.binom.ppf([0.001, 0.999], ladders, [0.93, 0.97])
    assert low <= hits <= high


@pytest.mark.parametrize("theta, noise", [((0.1, 60.0, -0.25), 0.02), ((0.1, 8.0, -0.15), 0.08), ((0.0, 8.0, -0.12), 0.04)])
def test_with_irreducible_error(theta, noise):
    """A floor that is told well, one that is often estimated as 0 (a third of ladders), and none at all."""
    form, ladders, hits = form_named("power_floor"), 150, []
    for seed in range(ladders):
        rng = np.random.default_rng([20, seed])
        compute = 1e10 * 10 ** np.sort(rng.uniform(0, 2.5, 20))
        points = Points(("m",) * 20, compute, np.ones(20))
        error = form.errors(points, np.array(theta)) * np.exp(noise * rng.standard_normal(20))
        law = fit(replace(points, error=np.minimum(error, 1)), form, draws=400, seed=seed)
        hits.append([low <= true <= high for low, true, high in zip(law.low, theta, law.high)])
    low, high = stats.binom.ppf([0.001, 0.999], ladders, [0.93, 0.97])
    assert (np.sum(hits, axis=0) >= low).all() and (np.sum(hits, axis=0)[1:] <= high).all(), np.mean(hits, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("models, noise", [(3, "equal"), *((models, noise) for models in (10, 30) for noise in NOISE)])
def test_full(models, noise):
    """3,000 ladders: the share is known to 0.4 points. Student's interval of 3 models is exact for equal scatter only."""
    shares = covered(models, noise, 3000, draws=1000).mean(axis=0)
    assert ((0.93 <= shares) & (shares <= 0.97)).all(), shares


def test_plain_percentiles_would_fail():
    """The reason for studentising: percentiles of the same draws cover too seldom at 10 models."""
    hits = []
    for seed in range(200):
        rng = np.random.default_rng([10, seed])
        compute = 1e10 * 10 ** rng.uniform(0, 2.5, 10)
        error = BETA * compute**ALPHA * np.exp(0.04 * rng.standard_normal(10))
        law = fit(Points(("m",) * 10, compute, error), "power", draws=400, seed=seed)
        low, high = np.nanquantile(law.draws[:, 1], [0.025, 0.975])
        hits.append(low <= ALPHA <= high)
    assert np.mean(hits) < 0.93

"""The paper's fits: golden numbers, an independent least squares, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.published import frames
from clip_scaling.published.paper_fit import SCENARIO_SAMPLES, fit_all, fit_front, fit_points, front_bins

ZERO_SHOT = {  # alpha and beta of LAION and of CLIP-WIT
    frames.IMAGENET: (-0.1114, 5.86, -0.1638, 23.18),
    frames.ROBUSTNESS: (-0.1255, 11.61, -0.2378, 211.66),
    frames.MSCOCO: (-0.0794, 2.75, -0.0508, 1.59),
    frames.FLICKR: (-0.1892, 15.51, -0.1028, 2.21),
}
PROBES = {  # alpha of LAION and CLIP-WIT, beta of both, as the figures print them
    "ImageNet, 10 per class": (-0.13, -0.18, 11.42, 34.78),
    "ImageNet, 25 per class": (-0.13, -0.18, 8.45, 31.88),
    "ImageNet, full set": (-0.12, -0.18, 5.18, 23.08),
    "CIFAR-100, 10 per class": (-0.17, -0.19, 25.77, 49.91),
    "CIFAR-100, 25 per class": (-0.18, -0.20, 27.89, 44.97),
    "CIFAR-100, full set": (-0.18, -0.18, 15.71, 20.18),
    "VTAB, mean of 19 tasks": (-0.04, -0.06, 0.74, 1.33),
}


@pytest.mark.parametrize("target", ZERO_SHOT, ids=lambda target: target[0])
def test_zero_shot_fits_are_the_papers(published, target):
    points = published.points(*target[1:])
    ours, wit = fit_points(points, "LAION"), fit_points(points, "CLIP-WIT")
    assert len(ours.x) == 5
    found = round(ours.alpha, 4), round(ours.beta, 2), round(wit.alpha, 4), round(wit.beta, 2)
    assert found == ZERO_SHOT[target]


@pytest.mark.parametrize("panel", PROBES)
def test_probe_fits_are_the_papers_to_all_digits(published, panel):
    points = (frames.figure_3 if panel.startswith("VTAB") else frames.figure_2)(published)
    points = points[points["panel"] == panel]
    fits = [fit_points(points, family) for family in ("LAION", "CLIP-WIT")]
    assert tuple(round(fit.alpha, 2) for fit in fits) + tuple(round(fit.beta, 2) for fit in fits) == PROBES[panel]


@pytest.mark.parametrize(
    ("target", "mae"), [(frames.IMAGENET, 0.874), (frames.MSCOCO, 0.588)], ids=["ImageNet", "MS-COCO"]
)
def test_mean_absolute_error_over_the_11_cells_best_over_data(published, target, mae):
    points = published.points(*target[1:])
    points = points[points["family"] == "LAION"]
    fit = fit_points(points, "LAION")
    gmacs = published.architectures.set_index("architecture")["gmacs_per_sample"]
    best = points.groupby(["architecture", "label"])["error"].min()
    apart = [abs(fit.error(gmacs[name] * SCENARIO_SAMPLES[label]) - error) for (name, label), error in best.items()]
    assert len(apart) == 11
    assert 100 * np.mean(apart) == pytest.approx(mae, abs=5e-4)


def test_text_retrieval_comes_from_its_own_column(published):
    right = fit_points(published.points(*frames.MSCOCO_TEXT[1:]), "LAION")
    wrong = fit_points(published.points(*frames.MSCOCO[1:]), "LAION")
    assert right.alpha == pytest.approx(-0.1023, abs=5e-5)
    assert abs(right.alpha - wrong.alpha) > 0.02


def test_each_set_and_both_text_retrievals_have_a_fit(published):
    errors = published.errors
    metrics = ["acc1", "mean_average_precision", "image_retrieval_recall@5", "text_retrieval_recall@5"]
    released = errors[errors["task"].isin(["zeroshot_classification", "retrieval"]) & errors["metric"].isin(metrics)]
    groups = released.groupby(["dataset", "metric"])
    fits = {key: fit_points(rows, family) for key, rows in groups for family in ("LAION", "CLIP-WIT")}
    assert len({dataset for dataset, _ in fits}) == 41
    assert all(np.isfinite(fit.alpha) for fit in fits.values())


def test_line_agrees_with_linear_regression_and_its_t_interval():
    from scipy import stats

    random = np.random.default_rng(3)
    compute = 10 ** random.uniform(10, 13, 12)
    error = 4 * compute**-0.1 * np.exp(random.normal(0, 0.05, 12))
    fit, reference = fit_all(compute, error), stats.linregress(np.log10(compute), np.log10(error))
    assert fit.alpha == pytest.approx(reference.slope)
    assert fit.beta == pytest.approx(10**reference.intercept)
    assert fit.half_width == pytest.approx(stats.t.ppf(0.975, 10) * reference.stderr)


@given(alpha=st.floats(-0.5, -0.01), beta=st.floats(0.5, 500), count=st.integers(3, 30))
def test_a_law_without_noise_is_recovered(alpha, beta, count):
    compute = np.logspace(10, 13, count)
    fit = fit_all(compute, beta * compute**alpha)
    assert fit.alpha == pytest.approx(alpha, rel=1e-7)
    assert fit.beta == pytest.approx(beta, rel=1e-6)


@given(st.lists(st.tuples(st.floats(1e9, 1e14), st.floats(0.01, 1)), min_size=2, max_size=40), st.integers(1, 12))
def test_bins_hold_the_least_error_and_lose_none(rows, bins):
    compute, error = np.array(rows).T
    centres, least = front_bins(compute, error, bins)
    assert 1 <= len(centres) <= bins
    assert (np.diff(centres) > 0).all()
    assert least.min() == pytest.approx(np.log10(error.min()))
    assert centres[0] >= np.log10(compute.min()) and centres[-1] <= np.log10(compute.max()) + 0.1


@pytest.mark.parametrize("rows", [([1e10], [0.3]), ([1e10, 1e11], [0.3, 0.0]), ([1e10, -1.0], [0.3, 0.2])])
def test_points_without_a_logarithm_are_refused(rows):
    with pytest.raises(UserError, match="two or more points of positive"):
        fit_all(*rows)


def test_one_compute_bears_no_slope():
    with pytest.raises(UserError, match="one compute"):
        fit_front([1e10, 1e10, 1e10], [0.3, 0.2, 0.4])


@pytest.mark.parametrize("target", ZERO_SHOT, ids=lambda target: target[0])
def test_the_fit_package_draws_the_same_front(published, target):
    from clip_scaling.fit.front import fit_binned
    from clip_scaling.fit.outcome import Points

    rows = published.points(*target[1:])
    rows = rows[rows["family"] == "LAION"]
    points = Points(tuple(rows["run"]), rows["compute"].to_numpy(), rows["error"].to_numpy())
    (log_beta, alpha), _ = (part[0] for part in fit_binned(points, np.ones((1, len(points)))))
    fit = fit_points(rows, "LAION")
    assert (alpha, np.exp(log_beta)) == pytest.approx((fit.alpha, fit.beta), rel=1e-9)

"""The planner inverts a law: its optimum, its limits, its warnings."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.fit import plan
from clip_scaling.fit.estimate import fit
from clip_scaling.fit.forms import form_named
from ladders import ladder

SIZES = [plan.Architecture(f"V{gmacs}", gmacs) for gmacs in (7.4, 20.6, 87.7, 190.0)]


@pytest.fixture(scope="module")
def law():
    points = ladder(0.01)
    return plan.Law(fit(points, "three_variable", draws=300), form_named("three_variable"), points)


def test_best_is_the_least_of_all(law):
    ranked = plan.options(law, SIZES, plan.Budget(compute=1e12))
    errors = {one.name: law.form.errors(plan.scenario([one.gmacs], [1e12 / one.gmacs], [2e9]), law.fit.theta)[0] for one in SIZES}
    assert ranked[0].architecture == min(errors, key=errors.get)
    assert [one.error for one in ranked] == pytest.approx(sorted(errors.values()), rel=1e-12)
    assert all(one.low < one.error < one.high for one in ranked)


@settings(max_examples=20, deadline=None)
@given(compute=st.floats(1e10, 1e13), more=st.floats(1.01, 10))
def test_more_compute_or_more_data_never_hurts(law, compute, more):
    best = plan.options(law, SIZES, plan.Budget(compute=compute))[0].error
    assert plan.options(law, SIZES, plan.Budget(compute=compute * more))[0].error <= best
    short = plan.options(law, SIZES, plan.Budget(compute=compute, unique=1e8))[0].error
    assert plan.options(law, SIZES, plan.Budget(compute=compute, unique=1e8 * more))[0].error <= short


def test_samples_cap_the_budget(law):
    capped = plan.options(law, SIZES, plan.Budget(compute=1e13, samples=1e10))
    assert max(one.samples for one in capped) == 1e10
    hours = plan.Budget(compute_by_architecture={"V7.4": 7.4e9})
    assert hours.samples_for(SIZES[0]) == pytest.approx(1e9)
    with pytest.raises(UserError, match="no budget"):
        hours.samples_for(SIZES[1])


def test_extrapolation_is_told(law):
    inside = plan.options(law, SIZES[1:2], plan.Budget(compute=1e11))[0]
    outside = plan.options(law, SIZES[1:2], plan.Budget(compute=1e14))[0]
    assert inside.extrapolation_decades == 0 and inside.warning is None
    largest = np.log10(1e14 / 20.6 / law.points.samples.max())
    assert outside.beyond["samples seen"] == pytest.approx(largest) and "decades beyond" in outside.warning
    assert outside.high - outside.low > 0


def test_no_fit_and_no_architecture_are_told(law):
    degenerate = plan.Law(fit(law.points.take(np.arange(4)), "three_variable"), law.form, law.points)
    with pytest.raises(UserError, match="DEGENERATE"):
        plan.options(degenerate, SIZES, plan.Budget(compute=1e11))
    with pytest.raises(UserError, match="no architecture"):
        plan.options(law, [], plan.Budget(compute=1e11))


def test_no_prediction_exceeds_every_error_there_is(law):
    """Far below the fitted models a law predicts errors above 1: they are cut, and told."""
    far = plan.options(law, SIZES, plan.Budget(samples=10.0))
    assert all(0 < one.low <= one.error <= one.high <= 1 for one in far)
    assert far[0].error == 1 and "does not hold there" in far[0].warning


def test_a_law_in_compute_alone_says_so(law):
    points = law.points
    alone = plan.Law(fit(points, "power", draws=300), form_named("power"), points)
    ranked = plan.options(alone, SIZES, plan.Budget(compute=1e12))
    assert [one.gmacs for one in ranked] == [7.4, 20.6, 87.7, 190.0] and "compute alone" in alone.note and law.note is None


def test_a_law_that_rises_says_so(law):
    points = ladder(0.01, form="power", theta=[0.02, 0.05])
    rising = plan.Law(fit(points, "power", draws=300), form_named("power"), points)
    assert "a larger budget buys nothing" in rising.note
    flat = plan.Law(fit(points, "constant", draws=300), form_named("constant"), points)
    assert "a larger budget buys nothing" in flat.note


def test_no_run_has_more_distinct_pairs_than_samples(law):
    """The product form would credit pairs that are never seen."""
    points = law.points
    product = plan.Law(fit(points, "three_variable_product", draws=300), form_named("three_variable_product"), points)
    few, many = (plan.options(product, SIZES, plan.Budget(samples=1e9, unique=unique)) for unique in (1e9, 1e12))
    assert [one.error for one in few] == [one.error for one in many] and many[0].unique == 1e9


def test_trade_off_marks_one_best_a_budget(law):
    rows = plan.trade_off(law, SIZES, np.geomspace(1e10, 1e13, 5))
    assert len(rows) == 20 and rows["best"].sum() == 5
    # The best size grows with the budget (within the table's steps).
    best = rows[rows["best"]].sort_values("compute")["architecture"].str[1:].astype(float)
    assert (np.diff(best) >= 0).all()


def test_command_prints_and_warns(clip_scaling, root, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(root))
    said = clip_scaling("plan", "--target", "imagenet1k", "--budget", "1e12", "--json")
    made = json.loads(said.out)
    assert said.code == 0 and made["best"]["architecture"] in ("ViT-L-14", "ViT-H-14", "ViT-g-14")
    assert 0.2 < made["best"]["low"] < made["best"]["error"] < made["best"]["high"] < 0.35
    far = clip_scaling("plan", "--target", "imagenet1k", "--budget", "1e15")
    assert far.code == 0 and "warning:" in far.out
    hours = clip_scaling("plan", "--target", "imagenet1k", "--gpu-hours", "10000", "--architecture", "ViT-B-32",
                         "--samples-per-second", "1000", "--json")
    assert json.loads(hours.out)["best"]["samples_seen"] == 36_000_000_000


@pytest.mark.parametrize("words, reason", [
    (["--target", "imagenet1k"], "no budget"),
    (["--target", "nothing", "--budget", "1e12"], "unknown target 'nothing'"),
    (["--target", "imagenet1k", "--budget", "-1"], "--budget is -1"),
    (["--target", "imagenet1k", "--budget", "nan"], "--budget is nan"),
    (["--target", "imagenet1k", "--budget", "1e12", "--gpu-hours", "5"], "both --budget and --gpu-hours"),
    (["--target", "imagenet1k", "--budget", "1e12", "--architecture", "ViT-Z"], "unknown architecture 'ViT-Z'"),
    (["--target", "imagenet1k", "--gpu-hours", "5", "--samples-per-second", "9"], "add --gpu-hours and --architecture"),
    (["--target", "imagenet1k", "--budget", "1e12", "--family", "nobody"], "no family 'nobody'"),
])
def test_bad_requests_are_sentences(clip_scaling, root, monkeypatch, words, reason):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(root))
    said = clip_scaling("plan", *words)
    assert said.code == 2 and reason in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize("words", [
    ["--budget", "1e-300"], ["--budget", "1e-3"], ["--samples", "1e300", "--unique", "1e-300"], ["--samples", "0.5"], ["--budget", "1e308"],
    ["--samples", "1e200"], ["--budget", "1e12", "--unique", "1e300"], ["--budget", "1e12", "--unique", "0.5"], ["--gpu-hours", "1e-300"],
    ["--gpu-hours", "1e300"], ["--budget", "nan"], ["--budget", "inf"], ["--budget", "-1"], ["--budget", "1e12", "--architecture", "x" * 999],
    ["--gpu-hours", "1", "--architecture", "ViT-B-32", "--samples-per-second", "1e308"], ["--budget", "1e12", "--architecture", "\x1b[31m"],
])
def test_a_budget_beyond_sense_is_a_sentence(clip_scaling, root, monkeypatch, words):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(root))
    for more in ([], ["--json"]):
        said = clip_scaling("plan", "--target", "imagenet1k", "--form", "power", *words, *more)
        assert said.code == 2 and said.out == "" and said.err.count("\n") == 1 and len(said.err) < 1500 and "\x1b" not in said.err


def test_a_study_without_runs_is_told(clip_scaling, tmp_path, monkeypatch):
    from clip_scaling.core.schema import RUNS

    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    (tmp_path / "results/s").mkdir(parents=True)
    (tmp_path / "results/s/runs.csv").write_text(",".join(RUNS.names) + "\n")
    said = clip_scaling("plan", "--study", "s", "--target", "x", "--budget", "1e12")
    assert said.code == 2 and "study s has no runs yet" in said.err

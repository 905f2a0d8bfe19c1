"""Patching: ends of the interpolation, and the choice under the bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_scaling.evaluate.patch import STEPS, Mix, choose, curve, interpolate

torch = pytest.importorskip("torch")


def towers():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)


def test_ends_and_middle_of_the_interpolation():
    start, end = (tower.state_dict() for tower in towers())
    assert torch.equal(interpolate(start, end, 0.0)["weight"], start["weight"])
    assert torch.equal(interpolate(start, end, 1.0)["weight"], end["weight"])
    torch.testing.assert_close(interpolate(start, end, 0.5)["bias"], (start["bias"] + end["bias"]) / 2)


def test_curve_measures_every_mix_and_leaves_the_ends_alone():
    start, end = towers()
    before = start.weight.detach().clone()
    found = curve(start, end, lambda visual: ([visual.weight[0, 0].item()], visual.bias[0].item()))
    assert [mix.alpha for mix in found] == list(STEPS)
    assert found[0].tasks[0] == start.weight[0, 0].item() and found[-1].control == end.bias[0].item()
    assert torch.equal(before, start.weight)


def test_best_mean_beyond_the_bound_is_not_taken():
    mixes = [Mix(0.0, (0.1, 0.3), 0.50), Mix(0.5, (0.5, 0.5), 0.495), Mix(1.0, (0.9, 0.9), 0.48)]
    assert choose(mixes).alpha == 0.5
    assert choose(mixes, largest_drop=0.05).alpha == 1.0
    assert choose(mixes, largest_drop=0.0).alpha == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=11))
def test_choice_keeps_the_bound_and_never_loses_on_the_tasks(values):
    mixes = [Mix(index / 10, (task,), control) for index, (task, control) in enumerate(values)]
    best = choose(mixes)
    assert best.control >= mixes[0].control - 0.01 - 1e-9
    assert best.mean >= mixes[0].mean
    assert all(mix.mean <= best.mean for mix in mixes if mix.control >= mixes[0].control - 0.01)

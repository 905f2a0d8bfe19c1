"""Patching: weights between the zero-shot and the jointly fine-tuned image tower (paper, Section 4.4, Figures 5, 9-11).

The mix is the one with the best mean over the tasks whose zero-shot accuracy on the control set falls by at most one
percentage point. The paper measures both on test; here the tasks' mean is of items kept from training, the control
accuracy of the control set's own test split.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

STEPS = tuple(step / 10 for step in range(11))
LARGEST_DROP = 0.01


@dataclass(frozen=True)
class Mix:
    """Accuracies of one mix: alpha 0 is the zero-shot tower, 1 the fine-tuned one."""

    alpha: float
    tasks: tuple[float, ...]
    control: float

    @property
    def mean(self) -> float:
        return sum(self.tasks) / len(self.tasks)


def interpolate(start: dict, end: dict, alpha: float) -> dict:
    """State (1 - alpha) start + alpha end of floating-point weights; the others are start's."""
    return {
        name: (1 - alpha) * value + alpha * end[name] if value.is_floating_point() else value
        for name, value in start.items()
    }


def curve(start, end, measure: Callable, alphas: Sequence[float] = STEPS) -> list[Mix]:
    """A Mix for each alpha; start and end are image towers, `measure(visual)` gives (task accuracies, control)."""
    import copy

    mixed = copy.deepcopy(start)
    found = []
    for alpha in alphas:
        mixed.load_state_dict(interpolate(start.state_dict(), end.state_dict(), alpha))
        tasks, control = measure(mixed)
        found.append(Mix(alpha, tuple(tasks), control))
    return found


def choose(mixes: Sequence[Mix], largest_drop: float = LARGEST_DROP) -> Mix:
    """The mix with the best mean among those whose control falls by at most `largest_drop`; of equals the smaller alpha.

    The mix of alpha 0, whose control is the measure, is always among them.
    """
    untouched = next(mix for mix in mixes if mix.alpha == 0)
    allowed = [mix for mix in mixes if mix.control >= untouched.control - largest_drop - 1e-12]
    return max(allowed, key=lambda mix: (mix.mean, -mix.alpha))

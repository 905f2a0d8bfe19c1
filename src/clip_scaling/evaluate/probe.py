"""Linear probes: the paper's grid of 3 learning rates x 3 epoch counts, trained as one batched problem.

Cached normalised features, softmax regression with bias, AdamW without decay, batch 256, cosine schedule without
warm-up (paper, Section 4.3 and its appendix on linear probing). All settings see the same batches in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

BATCH = 256
VALIDATION = 0.2  # share of the train split that chooses the setting
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Setting:
    learning_rate: float
    epochs: int


GRID = tuple(Setting(rate, epochs) for rate, epochs in product((0.1, 0.01, 0.001), (10, 20, 40)))


@dataclass(frozen=True)
class Probe:
    """`accuracy` on test of the setting chosen on validation; `on_test` of the one best on test, the paper's way."""

    accuracy: float
    on_test: float
    chosen: Setting
    chosen_on_test: Setting


@dataclass(frozen=True)
class Labelled:
    """features: float32 tensor [N, D], L2-normalised; labels: whole numbers [N]."""

    features: object
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> "Labelled":
        return Labelled(self.features[rows], self.labels[rows])


def train_probes(data: Labelled, n_classes: int, settings: Sequence[Setting] = GRID, *, seed: int = 0):
    """Weights [D + 1, S, C] of the S settings, the last row their bias.

    A setting leaves the problem after its own number of epochs; its weights are what training it alone gives.
    """
    import torch

    order = sorted(range(len(settings)), key=lambda index: -settings[index].epochs)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.cat([data.features, torch.ones(len(data.features), 1)], dim=1)
    target = torch.as_tensor(data.labels)
    bound = data.features.shape[1] ** -0.5  # torch.nn.Linear's initial values, the same for every setting
    start = torch.empty(inputs.shape[1], 1, n_classes).uniform_(-bound, bound, generator=generator)
    weights = start.repeat(1, len(settings), 1)
    state = _Adam(weights)
    steps = -(-len(target) // BATCH)
    for epoch in range(settings[order[0]].epochs):
        active = [settings[index] for index in order if settings[index].epochs > epoch]
        state.keep(len(active))
        shuffled = torch.randperm(len(target), generator=generator)
        for step in range(steps):
            rows = shuffled[step * BATCH : (step + 1) * BATCH]
            rates = [_cosine(one.learning_rate, epoch * steps + step, one.epochs * steps) for one in active]
            state.step(_gradient(inputs[rows], target[rows], state.weights), torch.tensor(rates))
    state.keep(0)
    found = torch.empty_like(weights)
    found[:, order] = state.finished()
    return found


def _cosine(rate: float, step: int, steps: int) -> float:
    return 0.5 * (1 + np.cos(np.pi * step / steps)) * rate


def _gradient(inputs, target, weights):
    """Of the mean cross-entropy: inputs [B, D], target [B], weights [D, S, C]."""
    import torch

    size, n_settings, n_classes = weights.shape
    flat = weights.reshape(size, -1)
    residual = torch.softmax((inputs @ flat).view(-1, n_settings, n_classes), dim=-1)
    residual[torch.arange(len(target)), :, target] -= 1
    return (inputs.T @ residual.view(len(target), -1)).view_as(weights) / len(target)


class _Adam:
    """Adam's state for weights [D, S, C]; the last settings may leave early."""

    def __init__(self, weights):
        import torch

        self.weights, self.count, self.left = weights, 0, []
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)

    def keep(self, n_settings: int) -> None:
        if n_settings < self.weights.shape[1]:
            self.left.append(self.weights[:, n_settings:].clone())
            self.weights, self.first, self.second = (
                value[:, :n_settings].contiguous() for value in (self.weights, self.first, self.second)
            )

    def step(self, gradient, rates) -> None:
        self.count += 1
        self.first.lerp_(gradient, 1 - _BETA1)
        self.second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        spread = self.second.sqrt().div_((1 - _BETA2**self.count) ** 0.5).add_(_EPSILON)
        rates = (rates / (1 - _BETA1**self.count)).to(gradient.dtype)[None, :, None]
        self.weights.sub_(self.first.div(spread).mul_(rates))

    def finished(self):
        import torch

        return torch.cat(self.left[::-1], dim=1)


def accuracies(weights, data: Labelled) -> np.ndarray:
    """Accuracy [S] of weights [D + 1, S, C]."""
    import torch

    right = []
    for start in range(0, len(data.labels), 4096):
        features = data.features[start : start + 4096]
        logits = torch.einsum("nd,dsc->nsc", features, weights[:-1]) + weights[-1]
        right.append(logits.argmax(dim=-1) == torch.as_tensor(data.labels[start : start + 4096])[:, None])
    return torch.cat(right).double().mean(dim=0).numpy()


def split_rows(labels: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to validate on: a fifth of each class, at least one where it has two or more."""
    random = np.random.default_rng(seed)
    training, validation = [], []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        held = max(int(len(rows) * VALIDATION), 1) if len(rows) > 1 else 0
        validation.append(rows[:held])
        training.append(rows[held:])
    return np.sort(np.concatenate(training)), np.sort(np.concatenate(validation))


def shots(labels: np.ndarray, count: int, *, seed: int = 0) -> np.ndarray | None:
    """Rows of `count` items a class, or None where a class has fewer."""
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    if min(map(len, rows)) < count:
        return None
    return np.sort(np.concatenate([one[:count] for one in rows]))


def probe(train: Labelled, test: Labelled, n_classes: int, *, few: int | None = None, seed: int = 0) -> Probe | None:
    """Probe with all of `train`, or with `few` items a class; None where a class has too few.

    A fifth of `train` chooses the setting and is no part of the shots. With all of `train`, the grid is trained
    again on everything after the choice, so that both accuracies are those of the same nine models.
    """
    training, validation = (train.take(rows) for rows in split_rows(train.labels, seed=seed))
    if few is not None:
        rows = shots(training.labels, few, seed=seed)
        if rows is None:
            return None
        training = training.take(rows)
    weights = train_probes(training, n_classes, seed=seed)
    chosen = int(np.argmax(accuracies(weights, validation)))
    if few is None:
        weights = train_probes(train, n_classes, seed=seed)
    tested = accuracies(weights, test)
    best = int(np.argmax(tested))
    return Probe(float(tested[chosen]), float(tested[best]), GRID[chosen], GRID[best])

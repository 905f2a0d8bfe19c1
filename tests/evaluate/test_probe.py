"""Linear probes: the batched grid against one model at a time, torch's own optimiser and scikit-learn."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from clip_scaling.evaluate.probe import (  # noqa: E402
    BATCH, GRID, Labelled, Setting, accuracies, probe, shots, split_rows, train_probes,
)


def clusters(items: int, classes: int = 6, width: int = 16, spread: float = 0.9, seed: int = 0) -> Labelled:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    labels = random.integers(0, classes, items)
    features = centres[labels] + spread * random.normal(size=(items, width))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return Labelled(torch.tensor(features, dtype=torch.float32), labels)


def test_a_setting_in_the_batch_equals_the_setting_alone():
    data = clusters(600)
    together = train_probes(data, 6)
    for index in (0, 4, 8):
        alone = train_probes(data, 6, [GRID[index]])
        torch.testing.assert_close(together[:, index], alone[:, 0], rtol=1e-4, atol=1e-5)


def test_equals_torch_adamw():
    data, setting = clusters(500), Setting(0.01, 10)
    found = train_probes(data, 6, [setting])[:, 0]
    generator = torch.Generator().manual_seed(0)
    bound = 16**-0.5
    weights = torch.empty(17, 1, 6).uniform_(-bound, bound, generator=generator)[:, 0].requires_grad_()
    optimizer = torch.optim.AdamW([weights], lr=setting.learning_rate, weight_decay=0)
    inputs = torch.cat([data.features, torch.ones(500, 1)], dim=1)
    steps = -(-500 // BATCH)
    for epoch in range(setting.epochs):
        order = torch.randperm(500, generator=generator)
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            progress = (epoch * steps + step) / (setting.epochs * steps)
            optimizer.param_groups[0]["lr"] = 0.5 * (1 + np.cos(np.pi * progress)) * setting.learning_rate
            loss = torch.nn.functional.cross_entropy(inputs[rows] @ weights, torch.tensor(data.labels)[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(found, weights.detach(), rtol=1e-4, atol=1e-5)


def test_within_a_point_of_logistic_regression():
    linear_model = pytest.importorskip("sklearn.linear_model")
    train, test = clusters(3000, spread=1.4, seed=1), clusters(4000, spread=1.4, seed=2)
    found = probe(train, test, 6)
    reference = linear_model.LogisticRegression(C=1e3, max_iter=2000).fit(train.features.numpy(), train.labels)
    expected = reference.score(test.features.numpy(), test.labels)
    assert 0.5 < expected < 0.95, "a task neither trivial nor hopeless"
    assert found.accuracy == pytest.approx(expected, abs=0.01)


def test_choice_on_test_is_never_worse():
    train, test = clusters(400, spread=1.5, seed=1), clusters(400, spread=1.5, seed=2)
    for few in (None, 10, 25):
        found = probe(train, test, 6, few=few)
        assert found.on_test >= found.accuracy > 1 / 6


def test_too_few_items_give_none():
    assert probe(clusters(60), clusters(60), 6, few=25) is None


def test_accuracies_of_known_weights():
    data = Labelled(torch.eye(3), np.array([0, 1, 2]))
    right = torch.cat([torch.eye(3), torch.zeros(1, 3)])
    wrong = torch.cat([torch.zeros(3, 3), torch.tensor([[0.0, 0.0, 1.0]])])
    assert accuracies(torch.stack([right, wrong], dim=1), data) == pytest.approx([1, 1 / 3])


def test_split_and_shots_are_disjoint_and_stratified():
    labels = clusters(300).labels
    training, validation = split_rows(labels)
    assert not set(training) & set(validation) and len(training) + len(validation) == 300
    assert set(labels[validation]) == set(range(6))
    chosen = shots(labels[training], 10)
    assert (np.bincount(labels[training][chosen]) == 10).all()

"""Fine-tuning learns, is repeatable, keeps frozen heads, and its learning rates fall from layer to layer."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from clip_scaling.evaluate.finetune import (  # noqa: E402
    Recipe, Task, accuracy, batch_rows, fine_tune, parameter_groups, schedule,
)
from clip_scaling.evaluate.zeroshot import classifier  # noqa: E402

RECIPE = Recipe(iterations=40, batch_size=32)


def task(model, make, seed: int, items: int = 150, classes: int = 3) -> Task:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, items)
    images = np.stack([make.picture(random, label) for label in labels])
    return Task(images, labels, classifier(model, ("red", "green", "blue")[:classes], ("a {c} patch",)))


def test_fine_tuning_beats_zero_shot_on_new_items(model, make):
    train, test = task(model, make, 0), task(model, make, 1)
    tuned = fine_tune(model, [train], RECIPE, train_heads=True)
    before = accuracy(model, model.clip.visual, test)
    after = accuracy(model, tuned.visual, test, tuned.heads[0])
    assert after > 0.9 > before


def test_repeats_to_the_same_weights_and_leaves_the_model_alone(model, make):
    train = task(model, make, 0)
    untouched = {name: value.clone() for name, value in model.clip.state_dict().items()}
    recipe = Recipe(iterations=5, batch_size=16)
    first, second = (fine_tune(model, [train], recipe, train_heads=True) for _ in range(2))
    for name, value in first.visual.state_dict().items():
        assert torch.equal(value, second.visual.state_dict()[name])
    assert torch.equal(first.heads[0], second.heads[0])
    assert all(torch.equal(value, model.clip.state_dict()[name]) for name, value in untouched.items())


def test_joint_fine_tuning_keeps_its_heads_and_learns_every_task(model, make):
    tasks = [task(model, make, 0), task(model, make, 2, classes=2)]
    tuned = fine_tune(model, tasks, Recipe(iterations=80, batch_size=32), train_heads=False)
    for head, one in zip(tuned.heads, tasks, strict=True):
        assert torch.equal(head, one.head)
        assert accuracy(model, tuned.visual, one) > accuracy(model, model.clip.visual, one)


def test_learning_rate_falls_by_the_decay_from_layer_to_layer(run_folders):
    from clip_scaling.train.models import architecture, build_model

    visual = build_model(architecture("ViT-S-8")).visual
    head = torch.zeros(2, 2, requires_grad=True)
    groups = parameter_groups(visual, [head], Recipe(1, 1, learning_rate=1.0, layer_decay=0.5))
    rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    names = dict(visual.named_parameters())
    layers = len(visual.transformer.resblocks)
    assert rate[id(head)] == rate[id(names["ln_post.weight"])] == rate[id(names["proj"])] == 1.0
    for layer in range(layers):
        assert rate[id(names[f"transformer.resblocks.{layer}.mlp.c_fc.weight"])] == 0.5 ** (layers - layer)
    assert rate[id(names["conv1.weight"])] == 0.5 ** (layers + 1)
    assert len(rate) == len(names) + 1, "every parameter stands in one group"
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert decay[id(names["ln_post.weight"])] == 0 < decay[id(names["conv1.weight"])]


def test_schedule_warms_up_and_ends_near_zero():
    recipe = Recipe(iterations=100, batch_size=1)
    factors = [schedule(step, recipe) for step in range(100)]
    assert factors[0] == 0.1 and max(factors) == 1.0 and factors[-1] < 0.01
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_batches_depend_on_seed_and_step_only():
    recipe = Recipe(iterations=1, batch_size=8)
    assert (batch_rows(100, recipe, 3) == batch_rows(100, recipe, 3)).all()
    assert (batch_rows(100, recipe, 3) != batch_rows(100, recipe, 4)).any()
    assert len(set(batch_rows(100, recipe, 3))) == 8 == len(batch_rows(5, recipe, 3))

"""End-to-end fine-tuning from the zero-shot head, alone or jointly with frozen heads (paper, Section 4.4, Table 10).

The image tower is trained, the text tower only gives the heads. Layer-wise decay of the learning rate, linear warm-up,
cosine schedule, AdamW. Deviation: hundreds of iterations where the paper takes thousands, and no augmentation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .features import encode_images, pixels
from .model import Model

_BLOCK = re.compile(r"(?:resblocks|blocks|layers?)\.?(\d+)\.")
_LAST = ("ln_post", "proj", "head", "norm", "attnpool")  # what follows the blocks


@dataclass(frozen=True)
class Recipe:
    """`layer_decay` multiplies the learning rate once for each layer below the last."""

    iterations: int
    batch_size: int
    learning_rate: float = 1e-3
    layer_decay: float = 0.7
    warmup: float = 0.1  # share of the iterations
    weight_decay: float = 0.05
    gradient_clip: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class Task:
    """images: uint8 [N, H, W, 3]; labels: [N]; head: float32 [D, C], columns of norm 1 to begin with."""

    images: np.ndarray
    labels: np.ndarray
    head: object


@dataclass(frozen=True)
class Tuned:
    """The image tower after training, and the heads of the tasks in their order."""

    visual: object
    heads: tuple


def fine_tune(model: Model, tasks: Sequence[Task], recipe: Recipe, *, train_heads: bool) -> Tuned:
    """Train a copy of the image tower on the tasks in turn, a batch of one task at a step.

    With `train_heads` the heads are trained too (fine-tuning on one task), else frozen (joint fine-tuning).
    The outcome depends on the recipe's seed and the step alone, not on what ran before.
    """
    import copy

    import torch

    visual = copy.deepcopy(model.clip.visual).train()
    heads = [task.head.clone().to(model.device).requires_grad_(train_heads) for task in tasks]
    groups = parameter_groups(visual, heads if train_heads else [], recipe)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    peaks = [group["lr"] for group in groups]
    scale = model.clip.logit_scale.detach().exp()
    trained = [parameter for group in groups for parameter in group["params"]]
    for step in range(recipe.iterations):
        which = step % len(tasks)
        rows = batch_rows(len(tasks[which].labels), recipe, step)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * schedule(step, recipe)
        target = torch.as_tensor(tasks[which].labels[rows]).to(model.device)
        features = torch.nn.functional.normalize(visual(pixels(model, tasks[which].images[rows])), dim=-1)
        loss = torch.nn.functional.cross_entropy(scale * features @ heads[which], target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, recipe.gradient_clip)
        optimizer.step()
    return Tuned(visual.eval(), tuple(head.detach().cpu() for head in heads))


def schedule(step: int, recipe: Recipe) -> float:
    """Factor of the peak learning rate: linear warm-up, then half a cosine down to 0."""
    warm = max(1, round(recipe.warmup * recipe.iterations))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, recipe.iterations - warm)))


def batch_rows(count: int, recipe: Recipe, step: int) -> np.ndarray:
    """Sorted rows of the batch at a step, without repeats where there are enough."""
    random = np.random.default_rng([recipe.seed, step])
    return np.sort(random.choice(count, recipe.batch_size, replace=count < recipe.batch_size))


def layer_of(name: str, layers: int) -> int:
    """Depth of a parameter of the image tower: 0 embeddings, 1..layers blocks, layers + 1 what follows."""
    if match := _BLOCK.search(name):
        return int(match[1]) + 1
    return layers + 1 if name.removeprefix("trunk.").startswith(_LAST) else 0


def parameter_groups(visual, heads: list, recipe: Recipe) -> list[dict]:
    """Optimiser groups, a learning rate a layer; vectors are not decayed."""
    names = dict(visual.named_parameters())
    layers = max((int(match[1]) + 1 for name in names if (match := _BLOCK.search(name))), default=0)
    groups: dict[tuple[int, bool], list] = {}
    for name, parameter in names.items():
        groups.setdefault((layer_of(name, layers), parameter.ndim > 1), []).append(parameter)
    for head in heads:
        groups.setdefault((layers + 1, True), []).append(head)
    return [
        {
            "params": parameters,
            "lr": recipe.learning_rate * recipe.layer_decay ** (layers + 1 - layer),
            "weight_decay": recipe.weight_decay if decayed else 0.0,
        }
        for (layer, decayed), parameters in sorted(groups.items(), key=lambda group: group[0])
    ]


def accuracy(model: Model, visual, task: Task, head=None) -> float:
    """Share of the task's images that the image tower and the head (default: the task's) classify right."""
    import torch

    logits = encode_images(model, task.images, visual=visual) @ (task.head if head is None else head)
    return (logits.argmax(dim=1) == torch.as_tensor(task.labels)).double().mean().item()

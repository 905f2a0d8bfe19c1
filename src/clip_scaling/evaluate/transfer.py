"""Fine-tuning, joint fine-tuning and patching of one model: from evaluation folders to scores."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..core import paths
from ..core.errors import UserError
from ..core.files import digest, read_json, write_json
from .finetune import Recipe, Task, Tuned, accuracy, fine_tune
from .folder import Folder, Kind, read_split, split_digest
from .model import Model
from .patch import choose, curve
from .probe import split_rows
from .score import Score
from .zeroshot import classifier

VALIDATION_ITEMS = 1000  # of a task, at most: they choose the mix and nothing else
VERSION = 1  # raise when numbers change for equal input


@dataclass(frozen=True)
class Transfer:
    """task: the set fine-tuned on; shifts: sets with (some of) its classes; joint: sets fine-tuned on together;
    control: the set whose zero-shot accuracy patching must keep."""

    task: Folder
    shifts: tuple[Folder, ...]
    joint: tuple[Folder, ...]
    control: Folder | None


@dataclass(frozen=True)
class Outcome:
    """Scores, and the mixes of patching: rows of alpha, role (task or control), dataset, value, chosen."""

    scores: list[Score]
    mixes: list[dict]


def transfer(model: Model, plan: Transfer, recipe: Recipe) -> Outcome:
    """Fine-tune and patch, or read back what this model gave on this content before. Raises UserError."""
    folders = [plan.task, *plan.shifts, *plan.joint, *([plan.control] if plan.control else [])]
    content = [[folder.name, [split_digest(folder, part) for part in ("train", "test") if folder.has(part)]]
               for folder in folders]
    shape = [len(plan.shifts), len(plan.joint)]
    path = paths.cache() / "evaluations" / (
        digest(["transfer", model.content, model.device, content, shape, asdict(recipe), VERSION]) + ".json"
    )
    if path.is_file():
        read = read_json(path)
        return Outcome([Score(**row) for row in read["scores"]], read["mixes"])
    scores = _single(model, plan, recipe)
    joint = _joint(model, plan, recipe) if plan.joint else Outcome([], [])
    outcome = Outcome(scores + joint.scores, joint.mixes)
    write_json(path, {"scores": [asdict(score) for score in outcome.scores], "mixes": outcome.mixes})
    return outcome


def _task(model: Model, folder: Folder, split: str) -> Task:
    if folder.kind is not Kind.CLASSIFICATION or not folder.has(split) or not folder.templates:
        mend = "it needs classes, templates and that split"
        raise UserError(f"cannot be fine-tuned on: no labelled {split} split", where=folder.path, mend=mend)
    items = read_split(folder, split, model.geometry)
    return Task(items.images, items.labels, classifier(model, folder.classnames, folder.templates))


def _single(model: Model, plan: Transfer, recipe: Recipe) -> list[Score]:
    """Fine-tuning on one task, tested on it and on its shifts; beside it the zero-shot tower on the same items."""
    train = _task(model, plan.task, "train")
    tuned = fine_tune(model, [train], recipe, train_heads=True)
    towers = {"fine_tuning_zeroshot": Tuned(model.clip.visual, (train.head,)), "fine_tuning": tuned}
    scores = []
    for folder in (plan.task, *plan.shifts):
        test = shared_classes(_task(model, folder, "test"), folder.classnames, plan.task.classnames)
        if not len(test.labels):
            raise UserError(f"shares no class with {plan.task.name}", where=folder.path, mend="leave the shift out")
        for name, tower in towers.items():
            value = accuracy(model, tower.visual, test, tower.heads[0])
            scores.append(Score(name, folder.name, "test", "acc1", value, len(test.labels), len(plan.task.classnames)))
    return scores


def shared_classes(test: Task, classnames: Sequence[str], of_task: Sequence[str]) -> Task:
    """The items of `test` whose class the task has, with the task's labels."""
    known = {name: label for label, name in enumerate(of_task)}
    table = np.array([known.get(name, -1) for name in classnames])
    labels = table[test.labels]
    rows = np.flatnonzero(labels >= 0)
    return Task(np.asarray(test.images)[rows], labels[rows], test.head)


def _joint(model: Model, plan: Transfer, recipe: Recipe) -> Outcome:
    """Joint fine-tuning with frozen zero-shot heads, then patching."""
    names = [folder.name for folder in plan.joint]
    whole = [_task(model, folder, "train") for folder in plan.joint]
    halves = [_held_out(task) for task in whole]
    tuned = fine_tune(model, [train for train, _ in halves], recipe, train_heads=False)
    control = _task(model, plan.control, "test") if plan.control else None

    def measure(visual):
        kept = accuracy(model, visual, control) if control else 0.0
        return [accuracy(model, visual, held) for _, held in halves], kept

    mixes = curve(model.clip.visual, tuned.visual, measure)
    best = choose(mixes)
    tests = {folder: _task(model, folder, "test") for folder in plan.joint}
    if plan.control:
        tests[plan.control] = control
    scores = []
    for name, alpha in (("joint_zeroshot", 0.0), ("joint_fine_tuning", 1.0), ("joint_patched", best.alpha)):
        tower = _mixed(model.clip.visual, tuned.visual, alpha)
        scores += [
            Score(name, folder.name, "test", "acc1", accuracy(model, tower, test), len(test.labels),
                  len(folder.classnames))
            for folder, test in tests.items()
        ]
    return Outcome(scores, [row for mix in mixes for row in _rows(mix, names, plan.control, best)])


def _held_out(task: Task) -> tuple[Task, Task]:
    """A fifth of the train split, at most VALIDATION_ITEMS, held out for the choice of the mix."""
    training, validation = split_rows(task.labels)
    if len(validation) > VALIDATION_ITEMS:
        chosen = np.random.default_rng(0).choice(validation, VALIDATION_ITEMS, replace=False)
        validation = np.sort(chosen)
    images = np.asarray(task.images)
    return tuple(Task(images[rows], task.labels[rows], task.head) for rows in (training, validation))


def _mixed(start, end, alpha: float):
    import copy

    from .patch import interpolate

    mixed = copy.deepcopy(start)
    mixed.load_state_dict(interpolate(start.state_dict(), end.state_dict(), alpha))
    return mixed


def _rows(mix, names: list[str], control: Folder | None, best) -> list[dict]:
    rows = [("task", name, value) for name, value in zip(names, mix.tasks, strict=True)]
    rows += [("control", control.name, mix.control)] if control else []
    return [
        {"alpha": mix.alpha, "role": role, "dataset": name, "value": value, "chosen": mix.alpha == best.alpha}
        for role, name, value in rows
    ]

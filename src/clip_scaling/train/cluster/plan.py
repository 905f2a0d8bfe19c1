"""What each run of a cluster study asks for: nodes, batch, steps, hours, energy, and what must be refused."""

import difflib
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ...core.errors import UserError
from ...core.study import Run, Study
from ..models import own_architectures


@dataclass(frozen=True)
class Plan:
    """One run on a cluster.

    `batch` is global, `local_batch` one GPU's. `steps` is what open_clip's trainer takes an epoch: it rounds up to
    whole batches for every loader worker, so that `samples_seen` can exceed the budget `samples_asked`. `hours`,
    `gpu_hours` and `mwh` follow from the measured throughput; None where the study states none.
    """

    study: str
    run: str
    family: str
    subset: str
    architecture: str
    unique_samples: int
    samples_asked: int
    samples_per_epoch: int
    epochs: int
    steps: int
    batch: int
    local_batch: int
    nodes: int
    gpus_per_node: int
    learning_rate: float
    warmup_steps: int
    precision: str
    seed: int
    resampled: bool
    hours: float | None
    gpu_hours: float | None
    mwh: float | None

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node

    @property
    def samples_seen(self) -> int:
        return self.steps * self.batch * self.epochs


def plans(study: Study, names: list[str] | None = None) -> list[Plan]:
    """Plans of the study's runs, or of those named. Raises UserError for what open_clip's trainer cannot honour."""
    _refuse(study)
    known = {run.run_id: run for run in study.train.runs}
    for name in names or ():
        if name not in known:
            raise UserError(f"unknown run {name!r} in study {study.study}", mend=f"known: {', '.join(known)}")
    return [plan(study, known[name]) for name in names or known]


def plan(study: Study, run: Run) -> Plan:
    """The plan of one run. Raises UserError where batch, GPUs, nodes, epochs and budget do not fit together."""
    train, cluster = study.train, study.train.cluster
    gpus, batch = run.gpus or 1, run.batch_size or train.batch_size
    if batch % gpus:
        raise UserError(f"batch {batch} is no multiple of {gpus} GPUs", where=f"run {run.run_id}",
                        mend=f"take {batch // gpus * gpus or gpus}")
    per_node = min(gpus, cluster.gpus_per_node)
    if gpus % per_node:
        raise UserError(f"{gpus} GPUs do not fill nodes of {per_node}", where=f"run {run.run_id}",
                        mend=f"take {math.ceil(gpus / per_node) * per_node}")
    unique = study.subset_named(run.subset).unique_samples or study.subset_named(run.subset).samples
    per_epoch, epochs = _epochs(run, unique)
    steps = _steps(per_epoch, batch, cluster.workers)
    warmup = run.warmup_steps
    hours = run.samples_seen / run.samples_per_second / 3600 if run.samples_per_second else None
    gpu_hours = None if hours is None else hours * gpus
    return Plan(
        study=study.study, run=run.run_id, family=study.subset_named(run.subset).family, subset=run.subset,
        architecture=run.architecture, unique_samples=unique, samples_asked=run.samples_seen,
        samples_per_epoch=per_epoch, epochs=epochs, steps=steps, batch=batch, local_batch=batch // gpus,
        nodes=gpus // per_node, gpus_per_node=per_node,
        learning_rate=run.learning_rate or study.architecture_named(run.architecture).learning_rate,
        warmup_steps=round(train.warmup_fraction * steps * epochs) if warmup is None else warmup,
        precision=run.precision or train.precision, seed=run.seed, resampled=per_epoch < unique, hours=hours,
        gpu_hours=gpu_hours, mwh=None if gpu_hours is None else gpu_hours * cluster.watts_per_gpu / 1e6,
    )


def _epochs(run: Run, unique: int) -> tuple[int, int]:
    """Samples an epoch and epochs: as stated, or an epoch of the whole subset; a checkpoint is written after each."""
    per_epoch = run.samples_per_epoch or min(unique, run.samples_seen)
    epochs = run.epochs or max(1, round(run.samples_seen / per_epoch))
    if run.samples_per_epoch is None:
        per_epoch = run.samples_seen // epochs
    if per_epoch * epochs != run.samples_seen:
        raise UserError(
            f"{epochs} epochs of {per_epoch} samples are not {run.samples_seen} samples seen",
            where=f"run {run.run_id}", mend=f"write samples_seen: {per_epoch * epochs}",
        )
    return per_epoch, epochs


def _steps(samples: int, batch: int, workers: int) -> int:
    """Steps of an epoch as open_clip_train 3.3 counts them: the same number of whole batches for every worker."""
    loaders = max(1, workers)
    return math.ceil(math.ceil(samples / batch) / loaders) * loaders


def _refuse(study: Study) -> None:
    """Settings of our own trainer that open_clip's knows nothing of."""
    if study.train.augment_shift:
        raise UserError(
            f"augment_shift is {study.train.augment_shift}, which open_clip's trainer cannot do",
            where=f"study {study.study}", mend="set train.augment_shift to 0, or take the embedded engine",
        )
    known = _architectures()
    for entry in study.train.architectures:
        if known and entry.name not in known:
            near = difflib.get_close_matches(entry.name, known) or own_architectures()
            raise UserError(f"unknown architecture {entry.name!r}", where=f"study {study.study}",
                            mend=f"known are open_clip's names and our own, such as {', '.join(near)}")
        if entry.token_embedding_lr_scale != 1:
            raise UserError(
                f"{entry.name} has token_embedding_lr_scale {entry.token_embedding_lr_scale:g}; "
                "open_clip's trainer has one learning rate for all weights",
                where=f"study {study.study}", mend="leave that field out, or take the embedded engine",
            )


def _architectures() -> set[str]:
    """Ours, and those of the installed open_clip, found without importing it; empty where it is not installed."""
    spec = find_spec("open_clip")
    folder = Path(spec.origin).parent / "model_configs" if spec and spec.origin else None
    return {*own_architectures(), *(path.stem for path in folder.glob("*.json"))} if folder else set()

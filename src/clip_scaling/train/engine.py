"""The embedded engine: one run, exact in its budget, resumable to the same weights, watched for NaN.

A `Session` is a run in progress. It can be advanced a few steps at a time, so that one process can keep several runs
going on one device. On the CPU it is meant to run with one thread (`OMP_NUM_THREADS=1`): the number of threads changes
the last digits of a sum.
"""

import contextlib
import enum
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..core import paths
from ..core.errors import UserError
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .finished import processor, save_failed, save_finished
from .loader import Prefetcher
from .models import NORMALISATIONS, build_model, load_tokenizer, model_config, set_normalisation
from .openclip import open_clip
from .optimizer import FlatAdamW, learning_rate_factor
from .order import Batches
from .packed import packed
from .spec import RunSpec
from .towers import features

CHECKPOINT_SECONDS = 30.0
_STRIDE = 20  # steps between two looks at the clock


class Status(enum.Enum):
    """How a run ended: FINISHED, FAILED (its loss left the finite numbers) or STOPPED (asked to; resumable)."""

    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it: samples seen, and the mean loss of the latest steps."""

    run: str
    samples: int
    loss: float


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `message` is a sentence where it failed."""

    status: Status
    message: str
    seconds: float
    samples: int


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite at `step` (counted from 1)."""

    def __init__(self, run: str, step: int, loss: float):
        self.step = step
        super().__init__(f"run {run}: the loss is {loss} at step {step}; lower its learning rate and train it again")


class Session:
    """A run in progress: model, optimizer, data, and the step reached. On the CPU; `resident.py` has the GPU's.

    `energy_kwh` is what whoever advances it measured, or None.
    """

    engine = "host"  # its last digits are its own: a checkpoint goes on with the engine that wrote it

    def __init__(self, spec: RunSpec, *, workers: int = 0, device: str = "cpu", checkpoints: Path | None = None):
        """`checkpoints`: folder of its own instead of the one that all runs of this specification go on from."""
        self.spec, self.step, self.seconds = spec, 0, 0.0
        self.config = model_config(
            spec.config, load_tokenizer(Path(spec.tokenizer), spec.config["text_cfg"]["context_length"])
        )
        self.model = build_model(self.config, seed=spec.seed).to(device)
        set_normalisation(self.model, NORMALISATIONS[spec.normalisation])
        self.optimizer = FlatAdamW(
            self.model, weight_decay=spec.weight_decay, beta1=spec.beta1, beta2=spec.beta2, clip=spec.gradient_clip,
            embedding_scale=spec.token_embedding_lr_scale, on_device=type(self) is not Session,
        )
        self.losses = np.full(spec.steps, np.nan, np.float32)
        self.device_name, self.energy_kwh = processor(), None
        self._features, self._loss = features(self.model), open_clip.ClipLoss()
        self._workers = workers
        self._folder = checkpoints or paths.cache() / "checkpoints" / spec.digest
        self._load_data()
        self._resume()

    def _load_data(self) -> None:
        spec = self.spec
        self._batches = Batches(
            packed(spec), seed=spec.seed, batch_size=spec.batch_size, shift=spec.augment_shift
        )

    @property
    def finished(self) -> bool:
        return self.step >= self.spec.steps

    def advance(self, steps: int) -> None:
        """Train up to `steps` further steps. Raises NonFiniteLoss; the step that raised it changes no weight."""
        begun, end = time.perf_counter(), min(self.step + steps, self.spec.steps)
        with Prefetcher(self._batches, range(self.step, end), self._workers) as batches:
            for batch in batches:
                self._one_step(torch.from_numpy(batch.images), torch.from_numpy(batch.tokens))
        self.seconds += time.perf_counter() - begun

    def _one_step(self, images: torch.Tensor, tokens: torch.Tensor) -> None:
        spec = self.spec
        self.optimizer.zero()
        with torch.autocast("cpu", torch.bfloat16, enabled=spec.precision != "fp32"):
            image_features, text_features = self._features(images, tokens)
        loss = self._loss(image_features.float(), text_features.float(), self.model.logit_scale.exp())
        value = loss.item()
        if not math.isfinite(value):
            raise NonFiniteLoss(spec.run, self.step + 1, value)
        loss.backward()
        factor = learning_rate_factor(self.step, steps=spec.steps, warmup=spec.warmup_steps)
        self.optimizer.step(spec.learning_rate * factor)
        self.losses[self.step] = value
        self.step += 1

    def save(self) -> None:
        """Write a checkpoint, unless a weight is no finite number: then the one before stays the last good one."""
        tensors = {name: value.cpu() for name, value in self.optimizer.state().items()}
        if all(bool(torch.isfinite(value).all()) for value in tensors.values()):
            tensors = {**tensors, "losses": torch.from_numpy(self.losses)}
            carried = {"seconds": self.seconds, "engine": self.engine, "energy_kwh": self.energy_kwh}
            save_checkpoint(self._folder, Checkpoint(self.step, tensors, carried))

    def _resume(self) -> None:
        checkpoint = load_checkpoint(self._folder)
        if checkpoint:
            carried = checkpoint.carried
            if carried.get("engine", self.engine) != self.engine:
                what = f"run {self.spec.run}: its checkpoint is of engine {carried['engine']!r}, this is {self.engine!r}"
                mend = "go on with the --device that it was begun on, or remove the checkpoint"
                raise UserError(what, where=self._folder, mend=mend)
            self.step, self.seconds, self.energy_kwh = checkpoint.step, carried["seconds"], carried.get("energy_kwh")
            self.losses[:] = checkpoint.tensors["losses"].numpy()
            self.optimizer.load(checkpoint.tensors)

    def progress(self) -> Progress:
        recent = self.losses[max(0, self.step - _STRIDE):self.step]
        loss = float(recent.mean()) if len(recent) else math.nan
        return Progress(self.spec.run, self.step * self.spec.batch_size, loss)


def train(
    spec: RunSpec,
    *,
    workers: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Outcome:
    """Train a run to its end, or on from its checkpoint, and keep the result in the cache under `spec.digest`.

    `report` hears of progress every few steps; when `stop` answers True a checkpoint is written and the run ends
    STOPPED. Raises UserError for broken data.
    """
    with _one_thread():
        session = Session(spec, workers=workers)
        try:
            stopped = _to_the_end(session, report, stop, checkpoint_seconds)
        except NonFiniteLoss as error:
            save_failed(session)
            return _outcome(session, Status.FAILED, str(error))
    if stopped:
        return _outcome(session, Status.STOPPED)
    save_finished(session)
    return _outcome(session, Status.FINISHED)


def _to_the_end(session: Session, report, stop, checkpoint_seconds: float) -> bool:
    """Advance until the budget is spent; True where `stop` ended it earlier."""
    saved = time.monotonic()
    report(session.progress())
    while not session.finished:
        session.advance(_STRIDE)
        report(session.progress())
        stopping = stop()
        if stopping or time.monotonic() - saved > checkpoint_seconds:
            session.save()
            saved = time.monotonic()
        if stopping and not session.finished:
            return True
    return False


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread, and no denormal numbers: the moments of tokens long unseen fade into them, and they are slow."""
    threads = torch.get_num_threads()
    np.finfo(np.float32), np.finfo(np.float64)  # numpy looks at denormals once, and warns where there are none
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _outcome(session: Session, status: Status, message: str = "") -> Outcome:
    return Outcome(status, message, session.seconds, session.step * session.spec.batch_size)

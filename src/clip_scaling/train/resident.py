"""Runs on a device that holds all data: decoded once, copied once, and no step waits for the host.

Order, shifts and learning rates of a whole run are made on the host from (seed, step), as for the CPU, and copied to
the device; a step then gathers its batch there, and reads its own number there. On a GPU the step is captured as a
graph after a few ordinary ones and replayed, so that a small model is not bound by launching a few hundred kernels.
"""

import contextlib
import math
import sys
from pathlib import Path

import numpy as np
import torch

from .engine import NonFiniteLoss, Session
from .optimizer import learning_rate_factor
from .order import indices, shifts
from .packed import Packed, packed
from .spec import RunSpec

_BEFORE_CAPTURE = 3  # ordinary steps: libraries set themselves up in them


class ResidentPool:
    """Shards on the device, shared by runs: a subset that is the beginning of another is a view of it."""

    def __init__(self, device: torch.device | str):
        self.device = torch.device(device)
        self._held: list[tuple[tuple, torch.Tensor, torch.Tensor]] = []

    def get(self, spec: RunSpec) -> tuple[torch.Tensor, torch.Tensor]:
        """Images uint8 [n, S, S, 3] and tokens int64 [n, longest caption of the pool] of a run's subset."""
        size, context = spec.config["vision_cfg"]["image_size"], spec.config["text_cfg"]["context_length"]
        wanted = (size, context, spec.tokenizer_sha256, *(shard.sha256 for shard in spec.shards))
        for key, images, tokens in self._held:
            if key[:len(wanted)] == wanted:
                return images[:spec.unique_samples], tokens[:spec.unique_samples]
        images, tokens = _uploaded(packed(spec), self.device)
        self._held.append((wanted, images, tokens))
        return images, tokens


def _uploaded(data: Packed, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.empty((len(data), *data.images[0].shape[1:]), dtype=torch.uint8, device=device)
    for start, part in zip(data.starts, data.images):
        images[start:start + len(part)] = torch.from_numpy(np.array(part)).to(device)
    tokens = np.concatenate(data.tokens).astype(np.int64)
    longest = int(tokens.argmax(axis=1).max()) + 1
    return images, torch.from_numpy(np.ascontiguousarray(tokens[:, :longest])).to(device)


class ResidentSession(Session):
    """A run whose steps stay on the device: `advance` only asks for them, `check` waits and looks at the losses.

    `compiled`: torch.compile the towers, or the name of its backend. `seconds` and `energy_kwh` are left to whoever
    drives several of these side by side.
    """

    engine = "resident"

    def __init__(
        self, spec: RunSpec, pool: ResidentPool, *, compiled: bool | str = False, graph: bool = True,
        checkpoints: Path | None = None,
    ):
        self._pool, self._device = pool, pool.device
        self._on_gpu = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if self._on_gpu else None
        super().__init__(spec, device=str(self._device), checkpoints=checkpoints)
        if self._on_gpu:
            self.device_name = torch.cuda.get_device_name(self._device)
        if compiled:
            backend = compiled if isinstance(compiled, str) else "inductor"
            self._features = torch.compile(self._features, backend=backend)
        self._graph, self._capturing, self._checked = None, graph and self._on_gpu, self.step
        self._steps_before_capture = _BEFORE_CAPTURE
        if self._on_gpu:
            torch.cuda.synchronize(self._device)  # what the default stream was given is there for the run's own

    def _load_data(self) -> None:
        spec, device = self.spec, self._device
        self._images, self._tokens = self._pool.get(spec)
        steps, batch = spec.steps, spec.batch_size
        order = np.stack([indices(spec.seed, step, batch, spec.unique_samples) for step in range(steps)])
        self._order = torch.from_numpy(order.astype(np.int32)).to(device)
        reach = spec.augment_shift
        moves = np.stack([shifts(spec.seed, step, batch, reach) for step in range(steps)]) - reach
        self._moves = torch.from_numpy(moves.astype(np.int8)).to(device)
        factors = [learning_rate_factor(step, steps=steps, warmup=spec.warmup_steps) for step in range(steps)]
        self._rates = torch.tensor([spec.learning_rate * factor for factor in factors], device=device)
        self._losses = torch.full((steps,), math.nan, device=device)
        self._at = torch.zeros((), dtype=torch.long, device=device)

    def _resume(self) -> None:
        self.energy_kwh = 0.0
        super()._resume()
        self._at.fill_(self.step)
        self._losses.copy_(torch.from_numpy(self.losses))

    def advance(self, steps: int) -> None:
        """Ask the device for up to `steps` further steps, and return without waiting for them."""
        for _ in range(min(steps, self.spec.steps - self.step)):
            with self._streamed():
                self._ask()
            self.step += 1

    def _ask(self) -> None:
        if self._graph is not None:
            self._graph.replay()
        elif not self._capturing:
            self._device_step()
        elif self._steps_before_capture:
            self._steps_before_capture -= 1
            self._device_step()
        else:
            self._capture()

    def _capture(self) -> None:
        """Record a step as a graph and replay it; where it cannot be recorded, say so and take it the ordinary way."""
        torch.cuda.synchronize(self._device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._device_step()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._capturing = False
            first = (str(error).splitlines() or [""])[0]
            said = f"its step cannot be captured as a graph ({first}); it goes on without, more slowly"
            print(f"clip-scaling train: run {self.spec.run}: {said}", file=sys.stderr)
            self._device_step()
        else:
            self._graph = graph
            graph.replay()  # capturing records a step and takes none

    @contextlib.contextmanager
    def _streamed(self):
        """On the run's own stream, so that several runs share a GPU that none of them fills."""
        with torch.cuda.stream(self._stream) if self._stream else contextlib.nullcontext():
            yield

    def _device_step(self) -> None:
        images, tokens = self._batch()
        self.optimizer.zero()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.spec.precision != "fp32"):
            image_features, text_features = self._features(images, tokens)
        loss = self._loss(image_features.float(), text_features.float(), self.model.logit_scale.exp())
        loss.backward()
        self.optimizer.step(self._rates.index_select(0, self._at[None])[0])
        self._losses.index_copy_(0, self._at[None], loss.detach()[None])
        self._at.add_(1)

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The step's images, shifted (their border repeated), and tokens."""
        at = self._at[None]
        chosen = self._order.index_select(0, at)[0].long()
        down, right = self._moves.index_select(0, at)[0].long()
        size = self._images.shape[1]
        place = torch.arange(size, device=self._device)
        rows = (place + down[:, None]).clamp(0, size - 1)
        columns = (place + right[:, None]).clamp(0, size - 1)
        images = self._images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        return images, self._tokens[chosen]

    def check(self) -> None:
        """Wait for the steps asked for. Raises NonFiniteLoss naming the first step whose loss is no finite number."""
        if self._stream:
            self._stream.synchronize()
        self.losses[:] = self._losses.cpu().numpy()
        bad = np.flatnonzero(~np.isfinite(self.losses[self._checked:self.step]))
        if len(bad):
            self.step = self._checked + int(bad[0])
            raise NonFiniteLoss(self.spec.run, self.step + 1, float(self.losses[self.step]))
        self._checked = self.step

    def save(self) -> None:
        """Write a checkpoint of the steps asked for: wait for them first. Raises NonFiniteLoss."""
        self.check()
        if int(self._at) != self.step:
            raise RuntimeError(f"run {self.spec.run}: the device is at step {int(self._at)}, the host at {self.step}")
        with self._streamed():
            super().save()

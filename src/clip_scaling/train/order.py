"""Which sample a run sees when, and how it is shifted: functions of (seed, step), so that no worker can change them."""

import functools
from dataclasses import dataclass

import numpy as np

from .packed import Packed

_ORDER, _SHIFT = 0, 1  # two streams of one seed


def _generator(seed: int, stream: int, index: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, index]))


@functools.lru_cache(maxsize=2)  # a batch may lie across two epochs
def _epoch(seed: int, epoch: int, samples: int) -> np.ndarray:
    return _generator(seed, _ORDER, epoch).permutation(samples)


def indices(seed: int, step: int, batch_size: int, samples: int) -> np.ndarray:
    """Samples of step `step` (from 0), int64 [batch_size]: every epoch is a permutation, one follows the other."""
    position, parts, left = step * batch_size, [], batch_size
    while left:
        epoch, offset = divmod(position, samples)
        part = _epoch(seed, epoch, samples)[offset:offset + left]
        parts.append(part)
        position, left = position + len(part), left - len(part)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def shifts(seed: int, step: int, batch_size: int, reach: int) -> np.ndarray:
    """Offsets (down, right) of step `step`'s windows in the padded image, int64 [2, batch_size] in 0 .. 2 reach."""
    return _generator(seed, _SHIFT, step).integers(0, 2 * reach + 1, size=(2, batch_size))


@dataclass(frozen=True)
class Batch:
    """images uint8 [B, S, S, 3], shifted; tokens int64 [B, longest caption]."""

    images: np.ndarray
    tokens: np.ndarray


class Batches:
    """The batches of a run, each made from its step alone; safe to call from several threads."""

    def __init__(self, data: Packed, *, seed: int, batch_size: int, shift: int):
        self._data, self._starts = data, data.starts
        self._seed, self._batch_size, self._shift = seed, batch_size, shift

    def __call__(self, step: int) -> Batch:
        chosen = indices(self._seed, step, self._batch_size, len(self._data))
        images, tokens = self._gather(chosen)
        if self._shift:
            down, right = shifts(self._seed, step, self._batch_size, self._shift)
            images = shifted(images, down, right, self._shift)
        # The end token has the highest id of all; nothing behind it is read.
        longest = int(tokens.argmax(axis=1).max()) + 1
        return Batch(images, np.ascontiguousarray(tokens[:, :longest]))

    def _gather(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first = self._data
        images = np.empty((len(chosen), *first.images[0].shape[1:]), np.uint8)
        tokens = np.empty((len(chosen), first.tokens[0].shape[1]), np.int64)
        shard = np.searchsorted(self._starts, chosen, side="right") - 1
        for number in np.unique(shard):
            rows = np.flatnonzero(shard == number)
            local = chosen[rows] - self._starts[number]
            images[rows] = first.images[number][local]
            tokens[rows] = first.tokens[number][local]
        return images, tokens


def shifted(images: np.ndarray, down: np.ndarray, right: np.ndarray, reach: int) -> np.ndarray:
    """Move each image [B, S, S, 3] by up to `reach` pixels; its border is repeated where nothing was."""
    batch, size = images.shape[:2]
    padded = np.empty((batch, size + 2 * reach, size + 2 * reach, 3), np.uint8)
    inner = slice(reach, reach + size)
    padded[:, inner, inner] = images
    padded[:, inner, :reach] = images[:, :, :1]
    padded[:, inner, reach + size:] = images[:, :, -1:]
    padded[:, :reach] = padded[:, reach:reach + 1]
    padded[:, reach + size:] = padded[:, reach + size - 1:reach + size]
    sample, row, column, colour = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded, (batch, 2 * reach + 1, 2 * reach + 1, size, size * 3), (sample, row, column, row, colour),
        writeable=False,
    )
    return windows[np.arange(batch), down, right].reshape(batch, size, size, 3)

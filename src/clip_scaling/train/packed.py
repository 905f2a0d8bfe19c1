"""Shards decoded once: a memory-mapped array of images and one of tokens a shard, shared by every run and process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path, write_json
from ..core.json_files import read_json
from ..subset.manifests import refuse_other_shard
from ..subset.reader import ShardReader
from .models import load_tokenizer
from .spec import RunSpec, Shard


@dataclass(frozen=True)
class Packed:
    """A subset in memory maps, shard by shard: images uint8 [n, S, S, 3], tokens int32 [n, context]."""

    images: tuple[np.ndarray, ...]
    tokens: tuple[np.ndarray, ...]

    @property
    def starts(self) -> np.ndarray:
        """Index of each shard's first sample, and the number of samples at the end."""
        return np.concatenate([[0], np.cumsum([len(part) for part in self.images])])

    def __len__(self) -> int:
        return sum(len(part) for part in self.images)


def packed(spec: RunSpec) -> Packed:
    """Open a run's data, decoding and tokenising what no run before needed. Raises UserError for a broken shard."""
    size, context = spec.config["vision_cfg"]["image_size"], spec.config["text_cfg"]["context_length"]
    tokens = [tokens_path(shard, spec.tokenizer_sha256, context) for shard in spec.shards]
    tokenizer = None
    for patient in (False, True):  # first what no other process is at, then wait for the rest
        for shard in spec.shards:
            pack_shard(shard, size, patient)
    for patient in (False, True):
        for shard, path in zip(spec.shards, tokens):
            if not path.is_file():
                tokenizer = tokenizer or load_tokenizer(Path(spec.tokenizer), context)
                _pack_tokens(captions_path(shard), path, tokenizer, patient)
    return Packed(tuple(np.load(images_path(shard, size), mmap_mode="r") for shard in spec.shards),
                  tuple(np.load(path, mmap_mode="r") for path in tokens))


def images_path(shard: Shard, size: int) -> Path:
    return paths.cache() / "packed" / f"{shard.sha256}-{size}.npy"


def captions_path(shard: Shard) -> Path:
    return paths.cache() / "packed" / f"{shard.sha256}.captions.json"


def tokens_path(shard: Shard, tokenizer_sha256: str, context: int) -> Path:
    return paths.cache() / "packed" / f"{shard.sha256}-{tokenizer_sha256[:16]}-{context}.npy"


def pack_shard(shard: Shard, size: int, patient: bool) -> None:
    """Decode a shard unless that is done; where another process is at it, wait if `patient`, else leave it."""

    def decode(path: Path) -> None:
        images, captions = _decoded(shard, size)
        write_json(captions_path(shard), captions)
        _save(path, images)

    _once(images_path(shard, size), patient, decode)


def _pack_tokens(captions: Path, path: Path, tokenizer, patient: bool) -> None:
    _once(path, patient, lambda path: _save(path, tokenizer(read_json(captions, kind=list)).numpy().astype(np.int32)))


def _once(path: Path, patient: bool, make: Callable[[Path], None]) -> None:
    """Make a file by one process alone, unless it is there."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=-1 if patient else 0):
            if not path.is_file():
                make(path)
    except Timeout:
        pass


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(np.ascontiguousarray(array))  # np.save on a full disk counts bytes, and does not say that it is full


def _decoded(shard: Shard, size: int) -> tuple[np.ndarray, list[str]]:
    """Images uint8 [n, size, size, 3] and captions of a shard, in its order.

    Raises UserError where its bytes are not those of the manifest, or where pairs are missing.
    """
    refuse_other_shard(Path(shard.path), shard.sha256)
    images, captions = np.empty((shard.samples, size, size, 3), np.uint8), []
    reader = ShardReader([shard.path])
    for pair in reader:
        if len(captions) < shard.samples:
            images[len(captions)] = pair.image if pair.image.shape[:2] == (size, size) else _resized(pair.image, size)
        captions.append(pair.caption)
    if len(captions) != shard.samples:
        refused = ", ".join(f"{count} x {reason}" for reason, count in reader.counts.refused.items())
        raise UserError(
            f"holds {len(captions)} pairs{f' ({refused})' if refused else ''}, its manifest says {shard.samples}",
            where=shard.path, mend="run `clip-scaling subset` again",
        )
    return images, captions


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    """Shorter side to `size`, bicubic, then the centre: open_clip's transform for evaluation."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = size / min(height, width)
    wide, high = max(size, round(width * scale)), max(size, round(height * scale))
    resized = Image.fromarray(image).resize((wide, high), Image.Resampling.BICUBIC)
    left, top = (wide - size) // 2, (high - size) // 2
    return np.asarray(resized.crop((left, top, left + size, top + size)))

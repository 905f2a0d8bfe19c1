"""Shards decoded once: a memory-mapped array of images and one of tokens a shard, shared by every run and process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path, write_json
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
    tokenizer = None
    images, tokens = [], []
    for shard in spec.shards:
        image_path = _pack_shard(shard, size)
        token_path = image_path.with_suffix(f".{spec.tokenizer_sha256[:16]}-{context}.npy")
        if not token_path.is_file():
            tokenizer = tokenizer or load_tokenizer(Path(spec.tokenizer), context)
            _pack_tokens(image_path.with_suffix(".captions.json"), token_path, tokenizer)
        images.append(np.load(image_path, mmap_mode="r"))
        tokens.append(np.load(token_path, mmap_mode="r"))
        if len(images[-1]) != shard.samples or len(tokens[-1]) != shard.samples:
            raise UserError(
                f"holds {len(images[-1])} readable pairs, its manifest says {shard.samples}",
                where=shard.path, mend="run `clip-scaling subset` again",
            )
    return Packed(tuple(images), tuple(tokens))


def _pack_shard(shard: Shard, size: int) -> Path:
    """The packed images of a shard; decoded by one process, awaited by the others."""
    path = paths.cache() / "packed" / f"{shard.sha256}-{size}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                images, captions = [], []
                for image, caption in _decode(shard, size):
                    images.append(image)
                    captions.append(caption)
                write_json(path.with_suffix(".captions.json"), captions)
                _save(path, np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8))
    return path


def _pack_tokens(captions_path: Path, token_path: Path, tokenizer) -> None:
    with FileLock(token_path.with_suffix(".lock")):
        if token_path.is_file():
            return
        captions = json.loads(captions_path.read_text(encoding="utf-8"))
        if captions:
            tokens = tokenizer(captions).numpy().astype(np.int32)
        else:
            tokens = np.zeros((0, tokenizer.context_length), np.int32)
        _save(token_path, tokens)


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)


def _decode(shard: Shard, size: int) -> Iterator[tuple[np.ndarray, str]]:
    """Images of `size` x `size` and their captions, in the shard's order."""
    for image, caption in _pairs(shard):
        if image.shape[:2] != (size, size):
            image = _resized(image, size)
        yield image, caption


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    """Shorter side to `size`, bicubic, then the centre: open_clip's transform for evaluation."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = size / min(height, width)
    wide, high = max(size, round(width * scale)), max(size, round(height * scale))
    resized = Image.fromarray(image).resize((wide, high), Image.Resampling.BICUBIC)
    left, top = (wide - size) // 2, (high - size) // 2
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def _pairs(shard: Shard) -> Iterator[tuple[np.ndarray, str]]:
    import io
    import tarfile

    from PIL import Image

    image, key = None, None
    with tarfile.open(shard.path) as tar:
        for member in tar:
            stem, _, kind = member.name.partition(".")
            if kind in ("png", "jpg", "webp"):
                key, image = stem, np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB"))
            elif kind == "txt" and stem == key:
                yield image, tar.extractfile(member).read().decode("utf-8")

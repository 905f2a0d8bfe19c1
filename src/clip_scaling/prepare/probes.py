"""Evaluation sets that are no icons: scikit-learn's digits, and Fashion-MNIST where the user has it."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np

from ..core.errors import UserError
from .folders import Labelled
from .names import draw
from .render import png_bytes

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GARMENTS = ("t shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_DEBIAN = Path("/usr/share/dataset-fashion-mnist")
_FILES = {"train": "train", "test": "t10k"}


def _labelled(name: str, images: np.ndarray, labels: np.ndarray, size: int) -> list[Labelled]:
    """uint8 [N, H, W] with ink on black -> dark ink on white, as icons are, at `size` x `size`."""
    from PIL import Image

    made = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        picture = Image.fromarray(255 - image).resize((size, size), Image.Resampling.BICUBIC).convert("RGB")
        made.append(Labelled(f"{name}:{number}", png_bytes(picture), int(label)))
    return made


def digits(size: int, seed: int) -> dict[str, list[Labelled]]:
    """scikit-learn's 1,797 handwritten digits, 8 x 8; about 30 % are the test split, by hash."""
    from sklearn.datasets import load_digits

    data = load_digits()
    items = _labelled("digits", (data.images * (255 / 16)).astype(np.uint8), data.target, size)
    test = [draw(item.key, "split", seed) < 0.3 for item in items]
    return {
        "train": [item for item, held in zip(items, test, strict=True) if not held],
        "test": [item for item, held in zip(items, test, strict=True) if held],
    }


def fashion_mnist(size: int) -> dict[str, list[Labelled]] | str:
    """Fashion-MNIST's 70,000 photographs, or a sentence that says why they are left out.

    Looked for in $FASHION_MNIST, then where Debian's package `dataset-fashion-mnist` puts it.
    """
    named = os.environ.get("FASHION_MNIST")
    folder = Path(named) if named else _DEBIAN
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        if named:
            raise UserError("holds no train-images-idx3-ubyte.gz", where=folder, mend="correct or unset FASHION_MNIST")
        return "not found: install Debian's dataset-fashion-mnist or name a folder in FASHION_MNIST"
    splits = {}
    for split, prefix in _FILES.items():
        images = _idx(folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = _idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        splits[split] = _labelled(f"fashion-mnist-{split}", images, labels, size)
    return splits


def _idx(path: Path) -> np.ndarray:
    """An array in the IDX form of the MNIST files. Raises UserError where it is broken."""
    try:
        with gzip.open(path) as file:
            content = file.read(200 << 20)
        axes = content[3]
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, struct.error) as error:
        raise UserError(f"is no IDX file ({error})", where=path, mend="fetch it again") from None

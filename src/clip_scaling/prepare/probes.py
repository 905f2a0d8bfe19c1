"""Evaluation sets that are no icons: scikit-learn's digits, and Fashion-MNIST where the user has it."""

import gzip
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..core import paths
from ..core.errors import UserError
from ..core.files import sha256
from .folders import Labelled
from .names import draw
from .render import png_bytes

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GARMENTS = ("t shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_PACKAGE = "dataset-fashion-mnist"  # Debian's; 31 MB
_PACKAGE_SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
_LARGEST = {"train": 10_000, "test": 5_000}  # photographs used, drawn by hash: the probe of 22 runs stays a minute
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


def fashion_mnist(size: int, seed: int) -> dict[str, list[Labelled]] | str:
    """Photographs of Fashion-MNIST, or a sentence that says why they are left out.

    From the folder named in $FASHION_MNIST, else from Debian's package where apt is at hand.
    """
    named = os.environ.get("FASHION_MNIST")
    folder = Path(named) if named else _debian_package()
    if folder is None:
        return "no apt with dataset-fashion-mnist here; name a folder with its four IDX files in FASHION_MNIST"
    splits = {}
    for split, prefix in _FILES.items():
        images = _idx(folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = _idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        order = sorted(range(len(labels)), key=lambda number: draw(f"{split}:{number}", "fashion", seed))
        chosen = sorted(order[: _LARGEST[split]])
        splits[split] = _labelled(f"fashion-mnist-{split}", images[chosen], labels[chosen], size)
    return splits


def _debian_package() -> Path | None:
    """The folder of the unpacked package in the cache; None without apt, network or with another version."""
    unpacked = paths.cache() / "downloads" / _PACKAGE
    if not unpacked.is_dir():
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            return None
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", _PACKAGE], cwd=folder, capture_output=True)
            archive = next(iter(Path(folder).glob("*.deb")), None)
            if archive is None or sha256(archive) != _PACKAGE_SHA256:
                return None
            subprocess.run(["dpkg-deb", "-x", archive, Path(folder) / "content"], check=True, capture_output=True)
            unpacked.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(folder) / "content", unpacked)
    return next((file.parent for file in unpacked.rglob("train-images-idx3-ubyte.gz")), None)


def _idx(path: Path) -> np.ndarray:
    """An array in the IDX form of the MNIST files. Raises UserError where it is broken."""
    try:
        with gzip.open(path) as file:
            content = file.read(200 << 20)
        axes = content[3]
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, struct.error) as error:
        raise UserError(f"is no IDX file ({error})", where=path, mend="fetch it again, or correct FASHION_MNIST") from None

"""Evaluation folders in CLIP_benchmark's webdataset layout, decoded once and packed.

    classnames.txt  zeroshot_classification_templates.txt  dataset_type.txt (classification, multilabel or retrieval)
    SPLIT/nshards.txt  SPLIT/0.tar ...   a sample is key.png|jpg|jpeg|webp with key.cls, key.npy or key.txt
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import numpy as np

from ..core import paths
from ..core.errors import UserError, short
from ..core.files import atomic_path, digest, sha256, write_json
from ..subset.reader import LARGEST_PIXELS, MOST_SCANS, Refusal, refuse_odd_file, safe_name
from ..subset.tarfiles import Fault, members

IMAGES = ("webp", "png", "jpg", "jpeg")
_LARGEST_FIELD = 64 << 20  # bytes of one image or label: more is no evaluation sample
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LARGEST_TEXT = 16 << 20  # characters of a list of names
_LONGEST_SIDES = 200  # an image's longer side by its shorter
_PACKING = 1  # raise when packed content changes for equal input


class Kind(Enum):
    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    RETRIEVAL = "retrieval"


@dataclass(frozen=True)
class Folder:
    """An evaluation set. `classnames` and `templates` are empty for retrieval."""

    path: Path
    name: str
    kind: Kind
    classnames: tuple[str, ...]
    templates: tuple[str, ...]

    def has(self, split: str) -> bool:
        return bool(list((self.path / split).glob("*.tar")))


@dataclass(frozen=True)
class Geometry:
    """How open_clip brings an image to a model's input size; colours are normalised later."""

    size: tuple[int, int]  # height, width in pixels
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0


@dataclass(frozen=True)
class Items:
    """A packed split. images: uint8 [N, H, W, 3] on disk; labels: [N] whole or [N, C] 0/1, or None;
    captions: one tuple of sentences an image, or None; content: digest that names this content."""

    images: np.ndarray
    labels: np.ndarray | None
    captions: tuple[tuple[str, ...], ...] | None
    content: str

    def __len__(self) -> int:
        return len(self.images)


def open_folder(path: Path) -> Folder:
    """Read the text files of an evaluation folder. Raises UserError where it is none."""
    path = Path(path)
    if not path.is_dir():
        raise UserError("no such evaluation folder", where=path, mend="name a folder in CLIP_benchmark's layout")
    word = _lines(path / "dataset_type.txt", optional=True) or ("classification",)
    try:
        kind = Kind(word[0].lower())
    except ValueError:
        known = ", ".join(kind.value for kind in Kind)
        raise UserError(f"unknown type {word[0]!r}", where=path / "dataset_type.txt", mend=f"known: {known}") from None
    if kind is Kind.RETRIEVAL:
        return Folder(path, path.name, kind, (), ())
    templates = _lines(path / "zeroshot_classification_templates.txt", optional=True)
    for template in templates:
        if "{c}" not in template:
            raise UserError(
                f"template {template!r} has no place for the class",
                where=path / "zeroshot_classification_templates.txt", mend="write {c} where the name goes",
            )
    return Folder(path, path.name, kind, _lines(path / "classnames.txt"), templates)


def _lines(path: Path, *, optional: bool = False) -> tuple[str, ...]:
    if not path.is_file():
        if optional:
            return ()
        raise UserError("is missing", where=path, mend="write one class name a line")
    try:
        with open(path, encoding="utf-8") as file:
            lines = tuple(line.strip() for line in file.read(_LARGEST_TEXT).split("\n"))
        lines = lines[:-1] if lines[-1] == "" else lines
    except UnicodeDecodeError:
        raise UserError("is no UTF-8 text", where=path, mend="save it as UTF-8") from None
    if not lines or "" in lines:
        raise UserError("has an empty line" if lines else "is empty", where=path, mend="one entry a line")
    odd = next((line for line in lines if _CONTROL.search(line) or len(line) > 1000), None)
    if odd is not None:  # ImageNet has two classes of one name, so a name may stand twice
        raise UserError(f"has control characters or a line too long in {short(odd)!r}", where=path, mend="write plain names, one a line")
    return lines


def shards(folder: Folder, split: str) -> list[Path]:
    """The split's tars in order. Raises UserError where there is none or fewer than nshards.txt says."""
    where = folder.path / split
    said = _lines(where / "nshards.txt", optional=True)
    if said and said[0].isascii() and said[0].isdecimal() and len(said[0]) < 7:
        found = [where / f"{index}.tar" for index in range(int(said[0]))]
    else:
        found = sorted(where.glob("*.tar"))
    for path in found:
        refuse_odd_file(path)
    missing = next((path for path in found if not path.is_file()), None)
    if missing or not found:
        raise UserError("is missing", where=missing or where / "0.tar", mend="prepare the evaluation set again")
    return found


def split_digest(folder: Folder, split: str) -> str:
    """Digest of everything a score on this split depends on, the model apart."""
    content = [_sha256(path) for path in shards(folder, split)]
    return digest([content, folder.kind.value, folder.classnames, folder.templates])


def _sha256(path: Path) -> str:
    status = path.stat()
    return _known_sha256(path, status.st_size, status.st_mtime_ns)


@cache
def _known_sha256(path: Path, size: int, changed: int) -> str:  # a process reads each tar's bytes once
    return sha256(path)


def read_split(folder: Folder, split: str, geometry: Geometry) -> Items:
    """The split at a model's input size, decoded once per content and kept packed in .cache/packed.

    Raises UserError naming tar and sample for whatever is not a readable image with its label.
    """
    from filelock import FileLock

    found = shards(folder, split)
    name = digest([[_sha256(path) for path in found], folder.kind.value, len(folder.classnames),
                   [*geometry.size, geometry.interpolation, geometry.resize_mode, geometry.fill_color], _PACKING])
    target = paths.cache() / "packed" / f"{name}.npy"
    beside = target.with_suffix(".json")
    if not beside.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not beside.is_file():
                _pack(folder, found, geometry, target, beside)
    fields = json.loads(beside.read_text(encoding="utf-8"))
    images = np.load(target, mmap_mode="r", allow_pickle=False)
    if folder.kind is Kind.RETRIEVAL:
        return Items(images, None, tuple(tuple(captions) for captions in fields), name)
    return Items(images, np.asarray(fields, dtype=np.int64), None, name)


def _pack(folder: Folder, found: list[Path], geometry: Geometry, target: Path, beside: Path) -> None:
    samples = [(path, sample) for path in found for sample in _index(path)]
    if not samples:
        raise UserError("holds no sample", where=found[0], mend="prepare the evaluation set again")
    resize = _resizer(geometry)
    fields = []
    about = {"descr": "|u1", "fortran_order": False, "shape": (len(samples), *geometry.size, 3)}
    # Written row by row, not through a memory map: on a full disk that ends the process by a signal.
    with atomic_path(target) as temporary, open(temporary, "wb") as packed:
        np.lib.format.write_array_header_1_0(packed, about)
        for path, sample in samples:
            with open(path, "rb") as file:
                packed.write(np.ascontiguousarray(_image(file, sample, path, resize)))
                fields.append(_field(file, sample, path, folder))
    write_json(beside, fields)


def _index(path: Path) -> Iterator[dict]:
    """Samples of a tar, grouped as webdataset does: {"key": name, "image" | "cls" | "txt" | "npy": (offset, size)}."""
    sample: dict = {}
    seen: set[tuple[str, str]] = set()
    for member in members(path):
        if isinstance(member, Fault):
            raise UserError(f"is no whole tar ({member.value})", where=path, mend="prepare the evaluation set again")
        if member.folder:
            continue
        name = safe_name(member)
        if isinstance(name, Refusal):
            raise UserError(f"member {short(member.name.decode(errors='replace'))!r}: {name}", where=path, mend="make the tar anew without it")
        folder, _, name = name.rpartition("/")
        stem, _, extension = name.partition(".")
        if not stem or not extension:
            continue
        if member.size > _LARGEST_FIELD:
            raise UserError(f"{short(name)} has {member.size} bytes", where=path, mend="leave the sample out")
        key, extension = (folder, stem), extension.lower()
        if sample and sample["key"] != key:
            yield sample
            sample = {}
        field = "image" if extension in IMAGES else extension
        if field in sample or (not sample and key in seen):
            raise UserError(f"sample {short(stem)} stands twice", where=path, mend="leave one of the two out")
        seen.add(key)
        sample |= {"key": key, field: (member.offset, member.size)}
    if sample:
        yield sample


def _read(file: io.BufferedReader, sample: dict, field: str, path: Path) -> bytes:
    if field not in sample:
        raise UserError(f"sample {sample['key'][1]} has no {field}", where=path, mend="leave the sample out")
    offset, size = sample[field]
    file.seek(offset)
    return file.read(size)


def _image(file: io.BufferedReader, sample: dict, path: Path, resize) -> np.ndarray:
    from PIL import Image

    content = _read(file, sample, "image", path)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
            longer, shorter = max(image.size), min(image.size)
            if longer * shorter > LARGEST_PIXELS or longer > _LONGEST_SIDES * shorter:  # resizing makes the shorter side larger
                raise ValueError(f"{image.width} x {image.height} pixels")
            if content.startswith(b"\xff\xd8") and content.count(b"\xff\xda") > MOST_SCANS:
                raise ValueError(f"more than {MOST_SCANS} scans")
            return np.asarray(resize(image.convert("RGB")))
    except Exception as error:  # noqa: BLE001 - decoders raise whatever a stranger's bytes lead them to
        what = f"sample {sample['key'][1]} is no readable image ({error})"
        raise UserError(what, where=path, mend="leave the sample out") from None


def _field(file: io.BufferedReader, sample: dict, path: Path, folder: Folder) -> int | list:
    """Class index, 0/1 row or captions of a sample."""
    key = sample["key"][1]
    if folder.kind is Kind.RETRIEVAL:
        try:
            captions = _read(file, sample, "txt", path).decode("utf-8").splitlines()
        except UnicodeDecodeError:
            raise UserError(f"captions of sample {key} are no UTF-8", where=path, mend="save them as UTF-8") from None
        if not captions or not all(caption.strip() for caption in captions):
            raise UserError(f"sample {key} has no caption, or a blank one", where=path, mend="write one caption a line")
        return captions
    if folder.kind is Kind.MULTILABEL:
        try:
            row = np.load(io.BytesIO(_read(file, sample, "npy", path)), allow_pickle=False)
        except UserError:
            raise
        except Exception:  # noqa: BLE001 - headers are parsed as Python, and may promise more than there is memory
            row = np.empty(0)
        if row.dtype.kind not in "biuf" or row.shape != (len(folder.classnames),) or not np.isin(row, (0, 1)).all():
            raise UserError(f"labels of sample {key} are no 0/1 row of {len(folder.classnames)}", where=path,
                            mend="save one number for each line of classnames.txt")
        return [int(value) for value in row]
    text = _read(file, sample, "cls", path).decode("ascii", errors="replace").strip()
    if not text.isdigit() or len(text) > 9 or int(text) >= len(folder.classnames):
        mend = f"write a whole number below {len(folder.classnames)}, the lines of classnames.txt"
        raise UserError(f"class of sample {key} is {text[:20]!r}", where=path, mend=mend)
    return int(text)


def _resizer(geometry: Geometry):
    """open_clip's own evaluation transform up to the picture; identity where the picture has that size already."""
    from ..train.openclip import open_clip

    whole = open_clip.image_transform(
        geometry.size if geometry.size[0] != geometry.size[1] else geometry.size[0], is_train=False,
        resize_mode=geometry.resize_mode, interpolation=geometry.interpolation, fill_color=geometry.fill_color,
    )
    names = [type(step).__name__ for step in whole.transforms]
    steps = whole.transforms[: names.index("MaybeToTensor")]

    def resize(image):
        if image.size == (geometry.size[1], geometry.size[0]):
            return image
        for step in steps:
            image = step(image)
        return image

    return resize

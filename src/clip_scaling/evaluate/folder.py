"""Evaluation folders in CLIP_benchmark's webdataset layout, decoded once and packed.

    classnames.txt  zeroshot_classification_templates.txt  dataset_type.txt (classification, multilabel or retrieval)
    SPLIT/nshards.txt  SPLIT/0.tar ...   a sample is key.png|jpg|jpeg|webp with key.cls, key.npy or key.txt
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from ..core import paths
from ..core.errors import UserError, short
from ..core.files import atomic_path, digest, sha256, write_json
from ..core.json_files import read_json
from ..subset.reader import refuse_odd_file
from ..subset.samples import Refused, plain_caption
from .samples import Kind, index, read_image, read_label

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LARGEST_TEXT = 16 << 20  # characters of a list of names
_MOST_PROMPTS = 10_000_000  # classes x templates: ImageNet-21k with 80 templates has 1.7 million
# Raise when packed content changes for equal input, of the kind for which it does: names of packs and of what is made
# of them follow.
PACKING = {Kind.CLASSIFICATION: 2, Kind.MULTILABEL: 2, Kind.RETRIEVAL: 3}


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
    captions: one tuple of sentences an image, or None; content: digest that names this content; counts: how many samples
    were converted, or members passed over, and why."""

    images: np.ndarray
    labels: np.ndarray | None
    captions: tuple[tuple[str, ...], ...] | None
    content: str
    counts: Mapping[str, int] = field(default_factory=dict)

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
    classnames = _lines(path / "classnames.txt")
    return Folder(path, path.name, kind, classnames, _templates(path / "zeroshot_classification_templates.txt", classnames))


def _templates(path: Path, classnames: tuple[str, ...]) -> tuple[str, ...]:
    """Templates, none where there is no such file. Raises UserError where prompts would be too long or too many."""
    templates = _lines(path, optional=True)
    longest = max(classnames, key=len)
    for template in templates:
        if "{c}" not in template:
            what = f"template {short(template)!r} has no place for the class"
            raise UserError(what, where=path, mend="write {c} where the name goes")
        try:
            plain_caption(template.replace("{c}", longest))
        except Refused as refused:
            what = f"template {short(template)!r} with class {short(longest)!r}: {refused}"
            raise UserError(what, where=path, mend="write {c} once, and shorter names") from None
    if len(templates) * len(classnames) > _MOST_PROMPTS:
        what = f"{len(templates):,} templates for {len(classnames):,} classes are more than {_MOST_PROMPTS:,} prompts"
        raise UserError(what, where=path, mend="write fewer")
    return templates


def _lines(path: Path, *, optional: bool = False) -> tuple[str, ...]:
    if not path.is_file():
        if os.path.lexists(path):  # taken for absent, it would change what is scored, and nobody would know
            raise UserError("is no file (a folder, pipe, device or broken link)", where=path, mend="write it as plain text")
        if optional:
            return ()
        raise UserError("is missing", where=path, mend="write one class name a line")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_LARGEST_TEXT + 1)
    except UnicodeDecodeError:
        raise UserError("is no UTF-8 text", where=path, mend="save it as UTF-8") from None
    if len(text) > _LARGEST_TEXT:
        raise UserError(f"has more than {_LARGEST_TEXT:,} characters", where=path, mend="write fewer or shorter lines")
    lines = tuple(line.strip() for line in text.split("\n"))
    lines = lines[:-1] if lines[-1] == "" else lines
    if not lines or "" in lines:
        raise UserError("has an empty line" if lines else "is empty", where=path, mend="one entry a line")
    odd = next((line for line in lines if _CONTROL.search(line) or len(line) > 1000), None)
    if odd is not None:  # ImageNet has two classes of one name, so a name may stand twice
        what = f"has control characters or a line too long in {short(odd)!r}"
        raise UserError(what, where=path, mend="write plain names, one a line")
    return lines


def shards(folder: Folder, split: str) -> list[Path]:
    """The split's tars in order. Raises UserError where there is none, or fewer or more than nshards.txt says."""
    where = folder.path / split
    said = _lines(where / "nshards.txt", optional=True)
    there = found = sorted(where.glob("*.tar"))
    if said and said[0].isascii() and said[0].isdecimal() and len(said[0]) < 7:
        found = [where / f"{index}.tar" for index in range(int(said[0]))]
    for path in found:
        refuse_odd_file(path)
    missing = next((path for path in found if not path.is_file()), None)
    if missing or not there:
        raise UserError("is missing", where=missing or where / "0.tar", mend="prepare the evaluation set again")
    named = set(found)
    if extra := next((path for path in there if path not in named and not path.name.startswith(".")), None):
        what = f"stands beside the {len(found):,} tars of nshards.txt and would not be scored"
        raise UserError(what, where=extra, mend="write how many there are to nshards.txt, or move this one away")
    if not found:
        raise UserError("names no tar", where=where / "nshards.txt", mend="prepare the evaluation set again")
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
                   [*geometry.size, geometry.interpolation, geometry.resize_mode, geometry.fill_color],
                   PACKING[folder.kind]])
    target = paths.cache() / "packed" / f"{name}.npy"
    beside = target.with_suffix(".json")
    packed = _packed(folder, geometry, target, beside)
    if packed is None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            packed = _packed(folder, geometry, target, beside)
            if packed is None:
                beside.unlink(missing_ok=True)  # what it says is not of the images that follow
                _pack(folder, found, geometry, target, beside)
                packed = _packed(folder, geometry, target, beside)
    if packed is None:
        raise UserError("cannot be read back", where=target, mend="see whether its disk is sound, and evaluate again")
    images, fields, counts = packed
    if counts:
        say_once(f"{folder.name}, {split}: " + ", ".join(f"{what} ({count:,})" for what, count in counts.items()))
    if folder.kind is Kind.RETRIEVAL:
        return Items(images, None, tuple(tuple(captions) for captions in fields), name, counts)
    return Items(images, np.asarray(fields, dtype=np.int64), None, name, counts)


def _packed(folder: Folder, geometry: Geometry, target: Path, beside: Path) -> tuple[np.ndarray, list, dict] | None:
    """Images, labels or captions, and counts as `_pack` left them; None where there are none, or broken ones."""
    try:
        content = read_json(beside, kind=dict)
        fields, counts = content["fields"], content["counts"]
        images = np.load(target, mmap_mode="r", allow_pickle=False)
    except Exception:  # noqa: BLE001 - absent, cut off, or bytes of a full disk: all of it can be packed anew
        return None
    whole = (isinstance(fields, list) and fields and all(_is_field(one, folder) for one in fields)
             and isinstance(counts, dict) and all(type(count) is int for count in counts.values())
             and isinstance(images, np.ndarray) and images.dtype == np.uint8
             and images.shape == (len(fields), *geometry.size, 3) and images.flags.c_contiguous)
    return (images, fields, counts) if whole else None


def _is_field(field: object, folder: Folder) -> bool:
    """Whether it is what `read_label` gives for a sample of the folder's kind."""
    classes = len(folder.classnames)
    if folder.kind is Kind.CLASSIFICATION:
        return type(field) is int and 0 <= field < classes
    if not isinstance(field, list):
        return False
    if folder.kind is Kind.MULTILABEL:
        return len(field) == classes and all(type(one) is int and one in (0, 1) for one in field)
    return bool(field) and all(isinstance(one, str) for one in field)


@cache
def say_once(sentence: str) -> None:
    """To standard error, once a process and not once a model."""
    print(sentence, file=sys.stderr)


def _pack(folder: Folder, found: list[Path], geometry: Geometry, target: Path, beside: Path) -> None:
    counts: Counter = Counter()
    samples = [(path, sample) for path in found for sample in index(path, counts)]
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
                packed.write(np.ascontiguousarray(read_image(file, sample, path, resize, counts)))
                fields.append(read_label(file, sample, path, folder.kind, len(folder.classnames), counts))
    write_json(beside, {"fields": fields, "counts": dict(sorted(counts.items()))})


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

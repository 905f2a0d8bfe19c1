"""Samples of an evaluation set's tars, with the limits of shards' images and captions.

A score is of every sample or of none: the first that is not usable ends the reading, by name. What is changed in samples,
and members beside them, are counted.
"""

import io
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import numpy as np

from ..core.errors import UserError, short
from ..subset.reader import IMAGES, safe_name
from ..subset.samples import LARGEST_IMAGE, LARGEST_METADATA, Refusal, Refused, picture, plain_caption
from ..subset.tarfiles import Fault, members

_LARGEST = {  # bytes of each kind of member
    "image": LARGEST_IMAGE, "cls": 1 << 10, "npy": LARGEST_METADATA, "txt": LARGEST_METADATA, "json": LARGEST_METADATA,
}
_LONGEST_SIDES = 200  # an image's longer side by its shorter


class Kind(Enum):
    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    RETRIEVAL = "retrieval"


def index(path: Path, counts: Counter) -> Iterator[dict]:
    """Samples of a tar, grouped as webdataset does: {"key": name, "image" | "cls" | "txt" | "npy": (offset, size)}.

    Members of another kind are passed over and counted. Raises UserError for a broken tar, or a member that may do harm.
    """
    sample: dict = {}
    seen: set[tuple[str, str]] = set()
    for member in members(path):
        if isinstance(member, Fault):
            raise UserError(f"is no whole tar ({member.value})", where=path, mend="prepare the evaluation set again")
        if member.folder:
            continue
        name = safe_name(member)
        if isinstance(name, Refusal):
            what = f"member {short(member.name.decode(errors='replace'))!r}: {name}"
            raise UserError(what, where=path, mend="make the tar anew without it")
        folder, _, name = name.rpartition("/")
        stem, _, extension = name.partition(".")
        extension = extension.lower()
        kind = "image" if extension in IMAGES else extension
        if not stem or kind not in _LARGEST:
            counts[Refusal.MEMBER_FOREIGN] += 1
            continue
        if member.size > _LARGEST[kind]:
            raise UserError(f"{short(name)} has {member.size:,} bytes", where=path, mend="leave the sample out")
        key = (folder, stem)
        if sample and sample["key"] != key:
            yield sample
            sample = {}
        if kind in sample or (not sample and key in seen):
            raise UserError(f"sample {short(stem)} stands twice", where=path, mend="leave one of the two out")
        seen.add(key)
        sample |= {"key": key, kind: (member.offset, member.size)}
    if sample:
        yield sample


def _read(file: io.BufferedReader, sample: dict, field: str, path: Path) -> bytes:
    if field not in sample:
        raise UserError(f"sample {short(sample['key'][1])} has no {field}", where=path, mend="leave the sample out")
    offset, size = sample[field]
    file.seek(offset)
    return file.read(size)


def read_image(file: io.BufferedReader, sample: dict, path: Path, resize, counts: Counter) -> np.ndarray:
    """uint8 [H, W, 3] as `resize` makes it. Raises UserError where the sample has no usable image."""
    content = _read(file, sample, "image", path)
    try:
        found = picture(content, on_white=False)
        longer, shorter = max(found.value.size), min(found.value.size)
        if longer > _LONGEST_SIDES * shorter:  # resizing makes the shorter side larger
            raise ValueError(f"{found.value.width} x {found.value.height} pixels")
        pixels = np.asarray(resize(found.value))
    except (Refused, ValueError) as error:
        what = f"sample {short(sample['key'][1])} is no usable image ({error})"
        raise UserError(what, where=path, mend="leave the sample out") from None
    counts.update(found.conversions)
    return pixels


def _captions(file: io.BufferedReader, sample: dict, path: Path, counts: Counter) -> list[str]:
    key = short(sample["key"][1])
    try:
        # Lines as editors know them: splitlines, as in CLIP_benchmark, makes captions of what follows U+2028 or a form feed.
        lines = [line.removesuffix("\r") for line in _read(file, sample, "txt", path).decode("utf-8").split("\n")]
        lines = lines[:-1] if lines[-1] == "" else lines
        found = [plain_caption(line) for line in lines]
    except UnicodeDecodeError:
        raise UserError(f"captions of sample {key} are no UTF-8", where=path, mend="save them as UTF-8") from None
    except Refused as refused:
        raise UserError(f"sample {key}: {refused}", where=path, mend="write one caption a line") from None
    if not found:
        raise UserError(f"sample {key}: {Refusal.NO_CAPTION}", where=path, mend="write one caption a line")
    counts.update(conversion for one in found for conversion in one.conversions)
    return [one.value for one in found]


def read_label(
    file: io.BufferedReader, sample: dict, path: Path, kind: Kind, classes: int, counts: Counter
) -> int | list[int] | list[str]:
    """Class index, 0/1 row of `classes`, or captions of a sample. Raises UserError where it has none."""
    key = short(sample["key"][1])
    if kind is Kind.RETRIEVAL:
        return _captions(file, sample, path, counts)
    if kind is Kind.MULTILABEL:
        try:
            # Not np.load, which gives an archive of arrays for the bytes of one.
            row = np.lib.format.read_array(io.BytesIO(_read(file, sample, "npy", path)), allow_pickle=False)
        except UserError:
            raise
        except Exception:  # noqa: BLE001 - headers are parsed as Python, and may promise more than there is memory
            row = np.empty(0)
        if row.dtype.kind not in "biuf" or row.shape != (classes,) or not np.isin(row, (0, 1)).all():
            raise UserError(f"labels of sample {key} are no 0/1 row of {classes}", where=path,
                            mend="save one number for each line of classnames.txt")
        return [int(value) for value in row]
    text = _read(file, sample, "cls", path).decode("ascii", errors="replace").strip()
    if not text.isdigit() or len(text) > 9 or int(text) >= classes:
        mend = f"write a whole number below {classes}, the lines of classnames.txt"
        raise UserError(f"class of sample {key} is {text[:20]!r}", where=path, mend=mend)
    return int(text)

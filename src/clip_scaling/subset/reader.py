"""The one reader of webdataset shards, ours and a user's.

A shard is a tar of members `key.jpg|jpeg|png|webp`, `key.txt` and `key.json`; members of a key stand together. Nothing
in a shard is trusted: what cannot be a pair is refused with a reason and counted, an image that is no plain RGB is
converted and counted, nothing is executed, and no number in a file makes the reader allocate or wait beyond its limits.
"""

import io
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from ..core.errors import UserError
from .tarfiles import Fault, Member, members

IMAGES = frozenset(("jpg", "jpeg", "png", "webp"))
LARGEST_SHARD = 64 << 30  # bytes
LARGEST_IMAGE = 64 << 20  # bytes
LARGEST_CAPTION = 64 << 10  # bytes
LARGEST_METADATA = 1 << 20  # bytes
LARGEST_PIXELS = 64_000_000  # width x height, looked at before a pixel is decoded
SMALLEST_SIDE = 4  # pixels: spacers and tracking dots are no pictures
MOST_SCANS = 100  # of a progressive JPEG: usual are 10; each costs as much as the whole picture, and few bytes
_MOST_FIELDS = 8  # members kept of a key: more than the three kinds is a duplicate whatever they are
_EXAMPLES = 3
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_UNSAFE = re.compile(r"^[/\\]|(?:^|/)\.\.(?:/|$)|:\\|[\x00-\x1f\x7f-\x9f]")


class Refusal(StrEnum):
    """Why a shard ended early, a member was not used, or a pair is none."""

    SHARD_TRUNCATED = "the tar ends too early"
    SHARD_BROKEN = "the tar has a broken header"
    SHARD_TRAILING = "the tar has data after its end mark"
    MEMBER_UNSAFE_NAME = "name is absolute, leaves the folder or holds control characters"
    MEMBER_NAME_ENCODING = "name is no UTF-8"
    MEMBER_NOT_A_FILE = "link, device or sparse file"
    MEMBER_FOREIGN = "neither image, caption nor metadata"
    DUPLICATE_KEY = "key stands twice in the shard"
    NO_IMAGE = "no image"
    NO_CAPTION = "no caption, or an empty one"
    IMAGE_EMPTY = "image of 0 bytes"
    IMAGE_LARGE = "image has too many bytes or pixels"
    IMAGE_SLOW = "JPEG has more than 100 scans"
    IMAGE_TINY = "image is smaller than 4 pixels"
    IMAGE_BROKEN = "image cannot be decoded"
    CAPTION_LONG = "caption or metadata is too long"
    CAPTION_ENCODING = "caption is no UTF-8"
    METADATA_BROKEN = "metadata are no JSON object, and there is no other caption"

    @property
    def of_pair(self) -> bool:
        """Whether it stands for a pair that was lost, not for a member beside pairs or an end."""
        return not self.name.startswith(("SHARD_", "MEMBER_"))


class Conversion(StrEnum):
    """What was changed on the way to RGB and plain text."""

    MODE = "palette, grey or CMYK to RGB"
    ALPHA = "transparency laid on white"
    DEPTH = "16 bits to 8"
    FIRST_FRAME = "first frame of an animation"
    CONTROL_CHARACTERS = "control characters in a caption to blanks"


@dataclass(frozen=True)
class Pair:
    """A key, its image uint8 [height, width, 3] (None where only captions are read) and its caption."""

    key: str
    image: np.ndarray | None
    caption: str


@dataclass
class Counts:
    """What became of the shards read so far. `groups` = `pairs` + refusals of pairs; `examples` name the first few."""

    groups: int = 0
    pairs: int = 0
    refused: Counter = field(default_factory=Counter)
    converted: Counter = field(default_factory=Counter)
    examples: dict[Refusal, list[str]] = field(default_factory=dict)

    def refuse(self, reason: Refusal, where: str) -> None:
        self.refused[reason] += 1
        known = self.examples.setdefault(reason, [])
        if len(known) < _EXAMPLES:
            known.append(where)

    def as_json(self) -> dict:
        """For manifests: reasons in words, with how often."""
        return {
            "pairs": self.pairs,
            "refused": {str(reason): count for reason, count in sorted(self.refused.items())},
            "converted": {str(what): count for what, count in sorted(self.converted.items())},
            "examples": {str(reason): names for reason, names in sorted(self.examples.items())},
        }


class _Refused(Exception):
    def __init__(self, reason: Refusal):
        self.reason = reason


class ShardReader:
    """Iterate over the pairs of `shards`, in order; `counts` says what was refused or converted, and why.

    With `images=False` only captions are read (for a tokenizer); images are then not looked at. Keys are checked for
    duplicates within a shard. Raises UserError for a shard that is not there or cannot be opened.
    """

    def __init__(self, shards: Iterable[Path | str], *, images: bool = True):
        self._shards, self._images = [Path(shard) for shard in shards], images
        self.counts = Counts()

    def __iter__(self) -> Iterator[Pair]:
        for shard in self._shards:
            refuse_odd_file(shard)
            try:
                with open(shard, "rb", buffering=1 << 16) as file:
                    yield from self._pairs(shard, file)
            except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
                what = f"cannot be read ({error.strerror})"
                raise UserError(what, where=shard, mend="name an existing tar") from None

    def _pairs(self, shard: Path, file) -> Iterator[Pair]:
        seen: set[str] = set()
        for key, fields in self._groups(shard):
            self.counts.groups += 1
            try:
                if key in seen or len(fields) != len({kind for kind, _ in fields}):
                    raise _Refused(Refusal.DUPLICATE_KEY)
                pair = self._pair(key, dict(fields), file)
            except _Refused as refused:
                self.counts.refuse(refused.reason, f"{shard.name}: {key}")
            else:
                self.counts.pairs += 1
                yield pair
            seen.add(key)

    def _groups(self, shard: Path) -> Iterator[tuple[str, list[tuple[str, Member]]]]:
        """Members that may be used, those of a key together: (key, [(`image`, `txt` or `json`, member)])."""
        current, fields = None, []
        for member in members(shard):
            if isinstance(member, Fault):
                self.counts.refuse(Refusal[f"SHARD_{member.name}"], shard.name)
                break
            if member.folder:
                continue
            try:
                key, kind = _named(member)
            except _Refused as refused:
                name = member.name[:80].decode(errors="backslashreplace")
                self.counts.refuse(refused.reason, f"{shard.name}: {name!r}")
                continue
            if key != current and fields:
                yield current, fields
                fields = []
            current = key
            if len(fields) < _MOST_FIELDS:
                fields.append((kind, member))
        if fields:
            yield current, fields

    def _pair(self, key: str, fields: dict[str, Member], file) -> Pair:
        caption = self._caption(fields, file)
        if "image" not in fields:
            raise _Refused(Refusal.NO_IMAGE)
        if not self._images:
            return Pair(key, None, caption)
        content = _read(file, fields["image"], LARGEST_IMAGE, Refusal.IMAGE_LARGE)
        if not content:
            raise _Refused(Refusal.IMAGE_EMPTY)
        return Pair(key, self._decode(content), caption)

    def _caption(self, fields: dict[str, Member], file) -> str:
        """The text member, else `caption` of the metadata; in one line without control characters."""
        try:
            if "txt" in fields:
                text = _read(file, fields["txt"], LARGEST_CAPTION, Refusal.CAPTION_LONG).decode("utf-8")
            elif "json" in fields:
                text = _described(_read(file, fields["json"], LARGEST_METADATA, Refusal.CAPTION_LONG))
            else:
                raise _Refused(Refusal.NO_CAPTION)
            text.encode("utf-8")  # JSON can smuggle half a surrogate pair
        except UnicodeError:
            raise _Refused(Refusal.CAPTION_ENCODING) from None
        if len(text) > LARGEST_CAPTION:
            raise _Refused(Refusal.CAPTION_LONG)
        plain = _CONTROL.sub(" ", text)
        line = " ".join(plain.split())
        if not line:
            raise _Refused(Refusal.NO_CAPTION)
        if plain != text:
            self.counts.converted[Conversion.CONTROL_CHARACTERS] += 1
        return line

    def _decode(self, content: bytes) -> np.ndarray:
        from PIL import Image

        if content.startswith(b"\xff\xd8") and content.count(b"\xff\xda") > MOST_SCANS:
            raise _Refused(Refusal.IMAGE_SLOW)
        try:
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
                _fits(image.size)
                conversions = []
                if getattr(image, "n_frames", 1) > 1:
                    conversions.append(Conversion.FIRST_FRAME)
                pixels, how = _rgb(image)
        except _Refused:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _Refused(Refusal.IMAGE_LARGE) from None
        except Exception:  # decoders raise whatever a stranger's bytes lead them to; none of it may stop the reader
            raise _Refused(Refusal.IMAGE_BROKEN) from None
        if conversions or how:
            self.counts.converted.update([*conversions, *how])
        return pixels


def refuse_odd_file(path: Path) -> None:
    """Raise UserError for a pipe or device, which may never end, and for a file too large for a shard."""
    try:
        status = os.stat(path)
    except OSError:
        return  # whoever opens it says so
    if not stat.S_ISREG(status.st_mode):
        raise UserError("cannot be read (a folder, pipe or device, no file)", where=path, mend="name an existing tar")
    if status.st_size > LARGEST_SHARD:
        raise UserError(f"is larger than {LARGEST_SHARD >> 30} GiB", where=path, mend="split it into shards of a few GiB")


def safe_name(member: Member) -> str | Refusal:
    """A member's name without a leading `./`, or why it may not be used."""
    try:
        name = member.name.decode("utf-8")
    except UnicodeDecodeError:
        return Refusal.MEMBER_NAME_ENCODING
    name = name.removeprefix("./")
    if _UNSAFE.search(name):
        return Refusal.MEMBER_UNSAFE_NAME
    return name if member.regular else Refusal.MEMBER_NOT_A_FILE


def _named(member: Member) -> tuple[str, str]:
    """Key and kind of a member. Raises _Refused."""
    name = safe_name(member)
    if isinstance(name, Refusal):
        raise _Refused(name)
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    extension = extension.lower()
    kind = "image" if extension in IMAGES else extension
    if not stem or kind not in ("image", "txt", "json"):
        raise _Refused(Refusal.MEMBER_FOREIGN)
    return folder + slash + stem, kind


def _read(file, member: Member, limit: int, reason: Refusal) -> bytes:
    if member.size > limit:
        raise _Refused(reason)
    file.seek(member.offset)
    return file.read(member.size)


def _described(content: bytes) -> str:
    """`caption` of img2dataset's metadata."""
    try:
        value = json.loads(content)
    except UnicodeError:
        raise
    except (ValueError, RecursionError):
        raise _Refused(Refusal.METADATA_BROKEN) from None
    caption = value.get("caption") if isinstance(value, dict) else None
    if not isinstance(caption, str):
        raise _Refused(Refusal.NO_CAPTION if isinstance(value, dict) else Refusal.METADATA_BROKEN)
    return caption


def _fits(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > LARGEST_PIXELS:
        raise _Refused(Refusal.IMAGE_LARGE)
    if min(width, height) < SMALLEST_SIDE:
        raise _Refused(Refusal.IMAGE_TINY)


def _rgb(image) -> tuple[np.ndarray, list[Conversion]]:
    """Pixels uint8 [height, width, 3] of the first frame; orientation and colour profiles are not applied (open_clip).

    Transparency is laid on white, as img2dataset does: the colours beneath are whatever an editor left there.
    """
    from PIL import Image

    clear = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if image.mode == "RGB" and not clear:
        return np.asarray(image), []
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits: PIL would clip, not scale
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2), [Conversion.DEPTH]
    if clear:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, layer).convert("RGB")), [Conversion.ALPHA]
    return np.asarray(image.convert("RGB")), [Conversion.MODE]

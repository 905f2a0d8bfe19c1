"""The one reader of webdataset shards, ours and a user's.

A shard is a tar of members `key.jpg|jpeg|png|webp`, `key.txt` and `key.json`; members of a key stand together. Nothing
in a shard is trusted: what cannot be a pair is refused with a reason and counted, an image that is no plain RGB is
converted and counted, nothing is executed, and no number in a file makes the reader allocate or wait beyond its limits.
"""

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..core.errors import UserError
from .samples import LARGEST_CAPTION, LARGEST_IMAGE, LARGEST_METADATA, Refusal, Refused, picture, plain_caption
from .tarfiles import Fault, Member, members

IMAGES = frozenset(("jpg", "jpeg", "png", "webp"))
LARGEST_SHARD = 64 << 30  # bytes
_MOST_FIELDS = 8  # members kept of a key: more than the three kinds is a duplicate whatever they are
_EXAMPLES = 3
_UNSAFE = re.compile(r"^[/\\]|(?:^|/)\.\.(?:/|$)|:\\|[\x00-\x1f\x7f-\x9f]")


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
                    raise Refused(Refusal.DUPLICATE_KEY)
                pair = self._pair(key, dict(fields), file)
            except Refused as refused:
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
            except Refused as refused:
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
            raise Refused(Refusal.NO_IMAGE)
        if not self._images:
            return Pair(key, None, caption)
        content = _read(file, fields["image"], LARGEST_IMAGE, Refusal.IMAGE_LARGE)
        found = picture(content)
        self.counts.converted.update(found.conversions)
        return Pair(key, np.asarray(found.value), caption)

    def _caption(self, fields: dict[str, Member], file) -> str:
        """The text member, else `caption` of the metadata; in one line without control characters."""
        try:
            if "txt" in fields:
                text = _read(file, fields["txt"], LARGEST_CAPTION, Refusal.CAPTION_LONG).decode("utf-8")
            elif "json" in fields:
                text = _described(_read(file, fields["json"], LARGEST_METADATA, Refusal.CAPTION_LONG))
            else:
                raise Refused(Refusal.NO_CAPTION)
            text.encode("utf-8")  # JSON can smuggle half a surrogate pair
        except UnicodeError:
            raise Refused(Refusal.CAPTION_ENCODING) from None
        found = plain_caption(text)
        self.counts.converted.update(found.conversions)
        return found.value


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
    """Key and kind of a member. Raises Refused."""
    name = safe_name(member)
    if isinstance(name, Refusal):
        raise Refused(name)
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    extension = extension.lower()
    kind = "image" if extension in IMAGES else extension
    if not stem or kind not in ("image", "txt", "json"):
        raise Refused(Refusal.MEMBER_FOREIGN)
    return folder + slash + stem, kind


def _read(file, member: Member, limit: int, reason: Refusal) -> bytes:
    if member.size > limit:
        raise Refused(reason)
    file.seek(member.offset)
    return file.read(member.size)


def _described(content: bytes) -> str:
    """`caption` of img2dataset's metadata."""
    try:
        value = json.loads(content)
    except UnicodeError:
        raise
    except (ValueError, RecursionError):
        raise Refused(Refusal.METADATA_BROKEN) from None
    caption = value.get("caption") if isinstance(value, dict) else None
    if not isinstance(caption, str):
        raise Refused(Refusal.NO_CAPTION if isinstance(value, dict) else Refusal.METADATA_BROKEN)
    return caption

"""Tar archives of many small members: written with little work a member, read without trusting a byte.

The standard library's reader follows what an archive says (sparse maps, links, chained headers); this one only ever
moves forward through the file, and knows regular files, long names and their pax form.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

BLOCK = 512
_ZERO = bytes(BLOCK)
_MOST_ZEROS = 64 << 20  # bytes after the end mark: usual are 10 KiB
_PIECE = 1 << 20  # bytes read at a time
_LARGEST_HEADER = 64 << 10  # bytes of a pax or long-name header
_TEMPLATE = (
    bytes(100) + b"0000644\0" + b"0000000\0" * 2 + bytes(12) + b"00000000000\0" + b" " * 8 + b"0" + bytes(100)
    + b"ustar\00000" + bytes(247)
)


class Fault(Enum):
    """What can be wrong with the archive itself; reading ends there."""

    TRUNCATED = "ends too early"
    BROKEN = "header is no tar header"
    TRAILING = "data after the end mark"


@dataclass(frozen=True)
class Member:
    """A member: `name` as bytes, whether it is a regular file or a folder, where its data lie and how many bytes."""

    name: bytes
    regular: bool
    folder: bool
    offset: int
    size: int


class TarWriter:
    """Append members to a file object; the same members give the same bytes (no dates, no owners)."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def add(self, name: str, content: bytes) -> None:
        self._file.write(header(name.encode(), len(content)) + content + bytes(-len(content) % BLOCK))

    def close(self) -> None:
        self._file.write(_ZERO * 2)


def header(name: bytes, size: int) -> bytes:
    """The ustar header of a regular file; names above 100 bytes get GNU's long-name member before it."""
    if len(name) > 100:
        long = name + b"\0"
        before = _sealed(b"././@LongLink", len(long), b"L")
        return before + long + bytes(-len(long) % BLOCK) + _sealed(name[:100], size, b"0")
    return _sealed(name, size, b"0")


def _sealed(name: bytes, size: int, kind: bytes) -> bytes:
    block = bytearray(_TEMPLATE)
    block[: len(name)] = name
    block[124:136] = b"%011o\0" % size
    block[156:157] = kind
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def members(path: Path) -> Iterator[Member | Fault]:
    """Members of an archive in order. A fault of the archive is the last thing yielded. Raises OSError."""
    with open(path, "rb") as file:
        yield from members_of(file, file.seek(0, 2))


class Forward:
    """A stream that cannot go back, such as a download, as a file of which `members_of` asks no more."""

    def __init__(self, stream: BinaryIO):
        self._stream, self._position = stream, 0

    def seek(self, position: int) -> None:
        while self._position < position and self.read(min(position - self._position, _PIECE)):
            pass

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end only; memory grows with what comes, not with what was promised."""
        parts, left = [], size
        while left and (part := self._stream.read(min(left, _PIECE))):
            parts.append(part)
            left -= len(part)
        self._position += size - left
        return b"".join(parts)


def members_of(file: BinaryIO | Forward, length: float = math.inf) -> Iterator[Member | Fault]:
    """As `members`, of an open file of `length` bytes. Where that is not known, the last member's data may be cut off."""
    position, long_name, pax = 0, None, {}
    while True:
        file.seek(position)
        block = file.read(BLOCK)
        if block == _ZERO:
            if not _only_zeros(file):
                yield Fault.TRAILING
            return
        if len(block) < BLOCK:
            yield Fault.TRUNCATED  # every writer ends with blocks of zeros
            return
        size = _size(block, pax)
        if size is None:
            yield Fault.BROKEN
            return
        position += BLOCK
        if position + size > length:
            yield Fault.TRUNCATED
            return
        kind = block[156:157]
        if kind in b"xgLK" and kind:
            if size > _LARGEST_HEADER:
                yield Fault.BROKEN
                return
            body = file.read(size)
            if kind == b"L":
                long_name = body.split(b"\0", 1)[0]
            elif kind == b"x" and (pax := _pax(body)) is None:
                yield Fault.BROKEN
                return
        else:
            name = pax.get(b"path", _name(block) if long_name is None else long_name)
            sparse = any(key.startswith(b"GNU.sparse") for key in pax)
            yield Member(name, kind in (b"0", b"\0", b"7") and not sparse, kind == b"5", position, size)
            long_name, pax = None, {}
        position += size + -size % BLOCK


def _size(block: bytes, pax: dict[bytes, bytes]) -> int | None:
    """Bytes of data after a header; None where the header is none."""
    stated = _number(block[148:156])
    if stated is None or stated != sum(block) - sum(block[148:156]) + 8 * 32:
        return None
    size = _number(block[124:136])
    if block[156:157] not in (b"x", b"g", b"L", b"K") and b"size" in pax:
        size = int(pax[b"size"]) if pax[b"size"].isdigit() and len(pax[b"size"]) < 20 else None
    return size


def _number(field: bytes) -> int | None:
    """Octal digits, or GNU's binary form; None where it is neither or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    return int(digits, 8) if digits.isdigit() and not set(digits) & {0x38, 0x39} else None


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    before = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return before + b"/" + name if before else name


def _pax(body: bytes) -> dict[bytes, bytes] | None:
    """Records `length key=value` of a pax header; None where they do not add up."""
    records: dict[bytes, bytes] = {}
    while body.strip(b"\0"):
        length, space, _ = body.partition(b" ")
        if not space or not length.isdigit() or len(length) > 6 or not len(length) + 3 < int(length) <= len(body):
            return None
        key, equals, value = body[len(length) + 1 : int(length)].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            return None
        records[key] = value[:-1]
        body = body[int(length) :]
    return records


def _only_zeros(file: BinaryIO) -> bool:
    for _ in range(_MOST_ZEROS >> 20):
        part = file.read(1 << 20)
        if not part:
            return True
        if part.strip(b"\0"):
            return False
    return False  # no writer fills up so far; a sparse file would take minutes

"""The files of an archive that somebody else may have written: all as they should be, or a refusal of the archive."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from .reader import Refusal, safe_name
from .tarfiles import Fault, Forward, members_of

LARGEST_NAME = 4096  # bytes: what a path may have


class UnsafeTar(ValueError):
    """What is wrong with an archive, and with which of its members."""


def files(
    stream: BinaryIO, *, largest: int, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the wanted files of an uncompressed tar, in its order; folders are passed over.

    `largest`: bytes of a file. Raises UnsafeTar, before the bytes of the member in question are read, for a name that is
    absolute, has `..`, control characters or no UTF-8, or stands twice, for a link, a device, a sparse or a larger file,
    and for a broken or truncated archive.
    """
    file, seen = Forward(stream), set()
    for member in members_of(file):
        if isinstance(member, Fault):
            raise UnsafeTar(member.value)
        if member.folder:
            continue
        shown = member.name[:80].decode(errors="backslashreplace")
        name = safe_name(member)
        if isinstance(name, Refusal):
            raise UnsafeTar(f"{shown!r}: {name}")
        if name in seen:
            raise UnsafeTar(f"{shown!r} stands twice")
        if len(member.name) > LARGEST_NAME:
            raise UnsafeTar(f"{shown!r}... is a name of more than {LARGEST_NAME} bytes")
        seen.add(name)
        if wanted(name):
            if member.size > largest:
                raise UnsafeTar(f"{shown!r} has {member.size:,} bytes, allowed are {largest:,}")
            file.seek(member.offset)
            content = file.read(member.size)
            if len(content) < member.size:
                raise UnsafeTar(Fault.TRUNCATED.value)
            yield name, content

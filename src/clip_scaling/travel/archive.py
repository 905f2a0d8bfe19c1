"""Tar archives that may be one compressed stream, cut into numbered parts; files in them have a known place here."""

import contextlib
import io
import lzma
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path
from ..subset.strict_tar import files

# A dictionary that spans shards; bytes of images have no alignment.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 64 << 20, "pb": 0}]
_PIECE = 1 << 20  # bytes copied at a time
_LARGEST = 8 << 30  # bytes of a file: the images of a study are one
_XZ = b"\xfd7zXZ\0"
_KEPT = re.compile(r"(packed/[\w.-]+|runs/[0-9a-f]{64}/[\w.-]+|checkpoints/[0-9a-f]{64}/[\w.-]+|evaluations/[\w.-]+)")


class Tar:
    """An archive being written: `add` a name and its bytes, or a file."""

    def __init__(self, tar: tarfile.TarFile):
        self._tar = tar

    def add(self, name: str, content: bytes | Path) -> None:
        member = tarfile.TarInfo(name)
        member.size = content.stat().st_size if isinstance(content, Path) else len(content)
        with open(content, "rb") if isinstance(content, Path) else io.BytesIO(content) as file:
            self._tar.addfile(member, file)


@contextlib.contextmanager
def written(target: Path, *, compressed: bool, split: int | None = None) -> Iterator[Tar]:
    """An archive to fill; it is there whole or not at all. `split`: bytes of a part at most, named FILE.01 and on."""
    with atomic_path(target) as temporary:
        with contextlib.ExitStack() as stack:
            opened = lzma.open(temporary, "wb", filters=_FILTERS) if compressed else open(temporary, "wb")
            file = stack.enter_context(opened)
            yield Tar(stack.enter_context(tarfile.open(fileobj=file, mode="w|")))
    for old in _numbered(target):
        old.unlink()
    if split and target.stat().st_size > split:
        _cut(target, split)


def _cut(target: Path, split: int) -> None:
    with open(target, "rb") as whole:
        for number in range(1, -(-target.stat().st_size // split) + 1):
            left = split
            with atomic_path(target.with_name(f"{target.name}.{number:02d}")) as temporary, open(temporary, "wb") as part:
                while left and (piece := whole.read(min(_PIECE, left))):
                    part.write(piece)
                    left -= len(piece)
    target.unlink()


def parts(source: Path) -> list[Path]:
    """The file, or its numbered parts in order. Raises FileNotFoundError where there is neither."""
    found = [source] if source.is_file() else _numbered(source)
    if not found:
        raise FileNotFoundError(2, "no such file", str(source))
    return found


def _numbered(source: Path) -> list[Path]:
    found = [path for path in source.parent.glob(f"{source.name}.*") if path.suffix[1:].isdigit()]
    return sorted(found, key=lambda path: int(path.suffix[1:]))


class _Joined(io.RawIOBase):
    """Files read as one."""

    def __init__(self, found: list[Path]):
        self._left, self._file = list(found), None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while self._file or self._left:
            self._file = self._file or open(self._left.pop(0), "rb")
            if count := self._file.readinto(buffer):
                return count
            self._file.close()
            self._file = None
        return 0


def contents(source: Path, mend: str, place: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of an archive, in its order, once all of it was looked at: nothing of a refused one is unpacked.

    Raises UserError where it is none, not whole or not as `written`, and what `place` raises for a name.
    """
    for name, _ in _files(source, mend):
        place(name)
    yield from _files(source, mend)


def _files(source: Path, mend: str) -> Iterator[tuple[str, bytes]]:
    try:
        with io.BufferedReader(_Joined(parts(source)), _PIECE) as file:
            packed = file.peek(len(_XZ)).startswith(_XZ)
            yield from files(lzma.open(file) if packed else file, largest=_LARGEST)
    except FileNotFoundError:
        raise UserError("no such file", where=source, mend=mend) from None
    except (lzma.LZMAError, ValueError, EOFError) as error:
        raise UserError(f"cannot be unpacked ({error})", where=source, mend=mend) from None


def place(name: str, study: str) -> Path:
    """Where a file of an archive belongs here: in the cache, or in the study's data. Raises ValueError."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name:
        raise ValueError(f"unsafe name {name!r}")
    if path.parts[:2] == ("data", study) and len(path.parts) > 2:
        return paths.project_root() / path
    if _KEPT.fullmatch(name):
        return paths.cache() / path
    raise ValueError(f"{name} belongs to no study {study!r}")


def put(target: Path, content: bytes) -> None:
    """Write a file unless it holds these bytes already."""
    if not target.is_file() or target.stat().st_size != len(content) or target.read_bytes() != content:
        with atomic_path(target) as temporary:
            temporary.write_bytes(content)


def total_size(found: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in found)

"""Files written whole or not at all, and their hashes."""

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .json_files import read_json as read_json  # beside `write_json`, for who reads what this project wrote


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed over `path`, and the rename synced."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def own_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`, of this process alone, and remove it; what killed processes left goes first."""
    import psutil

    target.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{target.name}.{socket.gethostname()}."
    for left in target.parent.glob(f"{glob.escape(stem)}*.part"):
        owner = left.name.removeprefix(stem).split(".")[0]
        if owner == str(os.getpid()) or not (owner.isdigit() and psutil.pid_exists(int(owner))):
            shutil.rmtree(left, ignore_errors=True)
    folder = target.parent / f"{stem}{os.getpid()}.part"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` on success. Of two processes at once the later one's stays."""
    with own_folder(target) as built:
        yield built
        replaced = built.with_suffix(".old.part")
        while built.exists():
            with contextlib.suppress(FileNotFoundError):
                os.replace(target, replaced)
            try:
                os.replace(built, target)
            except OSError as error:  # another process may be faster between the two renames
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    with contextlib.suppress(OSError):
                        os.replace(replaced, target)
                    raise
            finally:
                shutil.rmtree(replaced, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """A rename outlives a power cut only once its folder is on disk; where folders cannot be synced, nothing is lost."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8, newline as given) to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys; NaN is refused with ValueError."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def write_tensors(path: Path, tensors: dict) -> str:
    """Write torch tensors as safetensors, atomically; returns the hex SHA-256 of what was meant to be written.

    A full disk is an OSError: the library's own writer hides it.
    """
    from safetensors.torch import save

    content = save({name: value.contiguous() for name, value in tensors.items()})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: object) -> str:
    """Hex SHA-256 of a JSON value in canonical form: the name of cached work."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()

"""Paths that are no plain file, which a reader must refuse rather than wait for."""

import os
from pathlib import Path


def make_odd(path: Path, kind: str) -> None:
    """Make `path` a fifo, a link to /dev/zero, a folder, a sparse file of 200 GiB, or nothing at all (none)."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with open(path, "wb") as file:
            file.truncate(200 << 30)
    elif kind != "none":
        raise ValueError(kind)

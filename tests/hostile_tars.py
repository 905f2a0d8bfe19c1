"""Tars with a member that no archive of ours has, made byte by byte where Python's own writer would refuse."""

import tarfile
from pathlib import Path

from clip_scaling.subset.tarfiles import BLOCK, header

_TERABYTES = 5 << 40
_EXPANDED = 1 << 30  # of a sparse file: one who follows the map fails the test, and does not fill the disk


def _member(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"x", **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % BLOCK)


def _named(name: bytes) -> bytes:
    return header(name, 1) + b"x" + bytes(BLOCK - 1)


def _edited(name: str, size: int, *edits: tuple[int, bytes]) -> bytes:
    """A header with other bytes at some places, and the checksum that goes with them."""
    block = bytearray(header(name.encode(), size))
    for place, content in edits:
        block[place:place + len(content)] = content
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _binary(size: int) -> bytes:
    """A size as GNU tar writes those above 8 GiB."""
    return b"\x80" + size.to_bytes(11, "big")


# What follows after good members; the name is one that would be taken.
HOSTILE = {
    "absolute": lambda name: _member(f"/tmp/escaped/{name}"),
    "parent": lambda name: _member(f"../../../escaped/{name}"),
    "parent within": lambda name: _member(f"data/../../../../escaped/{name}"),
    "parent at the end": lambda name: _member(f"{name}/.."),
    "parent by a long name": lambda name: _named(b"../" * 60 + b"escaped/" + name.encode()),
    "parent by pax": lambda name: _member(name, pax_headers={"path": f"../escaped/{name}"}),
    "symbolic link": lambda name: _member(name, tarfile.SYMTYPE, b"", linkname="/etc/passwd"),
    "hard link": lambda name: _member(name, tarfile.LNKTYPE, b"", linkname="../../escaped"),
    "character device": lambda name: _member(name, tarfile.CHRTYPE, b"", devmajor=1, devminor=5),
    "block device": lambda name: _member(name, tarfile.BLKTYPE, b""),
    "pipe": lambda name: _member(name, tarfile.FIFOTYPE, b""),
    "unknown kind": lambda name: _member(name, b"Z", b""),
    "GNU sparse": lambda name: _edited(name, 0, (156, b"S"), (257, b"ustar  \0"), (483, _binary(_EXPANDED))),
    "pax sparse": lambda name: _member(name, pax_headers={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(_EXPANDED), "GNU.sparse.name": name}),
    "old pax sparse": lambda name: _member(name, pax_headers={"GNU.sparse.size": str(_EXPANDED), "GNU.sparse.map": "0,1"}),
    "newline": lambda name: _named(name.encode() + b"\nx"),
    "escape sequence": lambda name: _named(b"\x1b[2J" + name.encode()),
    "no UTF-8": lambda name: _named(b"\xff\xfe" + name.encode()),
    "name without end": lambda name: _named(b"a" * 5000 + name.encode()),
    "twice": lambda name: _named(name.encode()) * 2,
    "twice by a dot": lambda name: _named(name.encode()) + _named(b"./" + name.encode()),
    "terabytes": lambda name: _edited(name, 0, (124, _binary(_TERABYTES))),
    "terabytes by pax": lambda name: _member(name, content=b"", pax_headers={"size": str(_TERABYTES)}),
    "negative size": lambda name: _edited(name, 0, (124, b"-0000000001\0")),
    "no size": lambda name: _edited(name, 0, (124, b"nonsense!!!\0")),
    "truncated": lambda name: header(name.encode(), 4096),
    "noise": lambda name: bytes(range(256)) * 2,
    "another archive": lambda name: bytes(2 * BLOCK) + _named(name.encode()),
}
SAID = {
    **{kind: "link, device or sparse" for kind in HOSTILE if kind.endswith(("link", "device", "sparse", "pipe", "kind"))},
    **{kind: "name is absolute" for kind in HOSTILE if kind.startswith(("absolute", "parent", "newline", "escape"))},
    "no UTF-8": "name is no UTF-8",
    "name without end": "a name of more than 4096 bytes", "twice": "stands twice", "twice by a dot": "stands twice",
    "terabytes": "5,497,558,138,880 bytes, allowed are", "terabytes by pax": "5,497,558,138,880 bytes, allowed are",
    "negative size": "no tar header", "no size": "no tar header", "truncated": "ends too early", "noise": "no tar header",
    "another archive": "data after the end mark",
}


def write_hostile(path: Path, kind: str, name: str, before: dict[str, bytes]) -> None:
    """Write a tar of good members and, after them, what is hostile; `name`: of up to 100 bytes."""
    good = b"".join(_member(other, content=content) for other, content in before.items())
    path.write_bytes(good + HOSTILE[kind](name) + (b"" if kind == "truncated" else bytes(2 * BLOCK)))

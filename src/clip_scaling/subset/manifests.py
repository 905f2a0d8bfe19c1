"""A subset's manifest, read without trusting it, and the check of a shard against it."""

import re
from pathlib import Path

from ..core.errors import UserError
from ..core.files import sha256
from ..core.json_files import BrokenJSON, read_json
from .at_scale_remote import is_remote
from .reader import refuse_odd_file

_SHA256 = re.compile(r"[0-9a-f]{64}")
_AGAIN = "run `clip-scaling subset` again"


def read_manifest(path: Path, mend: str = _AGAIN) -> dict:
    """A manifest in the form in which `subset` writes it; `tokenizer` and `selection` may be absent.

    A shard is {"path": text, "sha256": 64 hex digits or None, "samples": number or None}, with "keys" where single pairs
    were drawn. Raises UserError for any other form, FileNotFoundError where there is no manifest.
    """
    try:
        content = read_json(path, kind=dict)
    except BrokenJSON as error:
        raise UserError(f"is no manifest of a subset ({error.what})", where=path, mend=mend) from None
    if lacking := next(_lacking(content), None):
        raise UserError(f"is no manifest of a subset ({lacking})", where=path, mend=mend)
    return content


def _lacking(content: dict):
    """What is not as it must be, in words."""
    if not _count(content.get("samples")):
        yield "`samples` is no number"
    if not _is(content.get("tokenizer"), str):
        yield "`tokenizer` is no path"
    selection = content.get("selection")
    if not _is(selection, dict):
        yield "`selection` is no object"
    shards = content.get("shards")
    if not isinstance(shards, list):
        yield "`shards` is no list"
        return
    by_keys = bool(selection) and selection.get("by") == "keys"
    for number, shard in enumerate(shards):
        if not isinstance(shard, dict) or not isinstance(shard.get("path"), str) or not shard["path"]:
            yield f"shard {number} names no path"
        elif not _is(shard.get("sha256"), str) or not _SHA256.fullmatch(shard.get("sha256") or "0" * 64):
            yield f"shard {number} states no SHA-256"
        elif shard.get("samples") is not None and not _count(shard["samples"]):
            yield f"shard {number} states no number of samples"
        elif by_keys and not isinstance(shard.get("keys"), str):
            yield f"shard {number} names no file of keys"


def _is(value: object, kind: type) -> bool:
    return value is None or isinstance(value, kind)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def checkable(shard: dict) -> bool:
    """Whether a manifest's shard can be checked: it lies on a disk here, and the manifest states its SHA-256."""
    return bool(shard.get("sha256")) and not is_remote(shard["path"])


def refuse_other_shard(path: Path, stated: str, mend: str = _AGAIN) -> None:
    """Raise UserError where a shard's bytes are not those of its manifest: a flipped bit in a caption shows nowhere else."""
    refuse_odd_file(path)
    try:
        found = sha256(path)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, mend=mend) from None
    if found != stated:
        size = Path(path).stat().st_size
        held = f"{size:,} bytes" if size else "no byte"
        raise UserError(f"is not the shard of its manifest (other sha256: {held}, {found[:16]}... for {stated[:16]}...)",
                        where=path, mend=mend)

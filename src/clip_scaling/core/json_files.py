"""JSON files read without trusting them: whatever is wrong with one is told in one sentence."""

import json
from pathlib import Path

from .errors import UserError

_MEND = "put it back as it was, or remove it and run the command that writes it"
_WORDS = {dict: "an object", list: "a list"}


class BrokenJSON(UserError, ValueError):
    """A file that holds no JSON, or other JSON than expected; ValueError for callers that pass over such files."""


def read_json(path: Path, *, kind: type | None = None, mend: str = _MEND) -> object:
    """The value that a UTF-8 JSON file holds; `kind`: dict or list, where nothing else will do.

    Raises BrokenJSON (a UserError) for what is no JSON, no UTF-8, nested too deeply or of another kind; OSError where
    there is no such file.
    """
    return parse_json(Path(path).read_bytes(), where=path, kind=kind, mend=mend)


def parse_json(content: bytes | str, *, where: object, kind: type | None = None, mend: str = _MEND) -> object:
    """As `read_json`, of text that stands elsewhere: `where` says in what."""
    try:
        value = json.loads(content if isinstance(content, str) else content.decode("utf-8"))
    except RecursionError:
        raise BrokenJSON("is no JSON (nested too deeply)", where=where, mend=mend) from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError among them
        raise BrokenJSON(f"is no JSON ({error})", where=where, mend=mend) from None
    if kind is not None and not isinstance(value, kind):
        raise BrokenJSON(f"is not {_WORDS[kind]} in JSON", where=where, mend=mend)
    return value

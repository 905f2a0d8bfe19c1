"""Names of emoji: CLDR labels and tags from emojibase."""

import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import UserError


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())


def read(source: Path) -> Mapping[str, tuple[str, ...]]:
    """Plain label -> (label, tag, tag ...) from emojibase's archive, or from a JSON file of that form."""
    try:
        if source.suffix == ".json":
            entries = json.loads(source.read_text(encoding="utf-8"))
        else:
            with tarfile.open(source, "r:gz") as archive:
                entries = json.load(archive.extractfile("package/en/data.json"))
    except (KeyError, json.JSONDecodeError, tarfile.TarError, EOFError) as error:
        raise UserError(f"holds no emoji names ({error})", where=source, mend="remove it and run the command again") from None
    named = {}
    for entry in entries:
        label = _plain(entry["label"])
        named.setdefault(label, (label, *(_plain(tag) for tag in entry.get("tags", []))))
    return named

"""Names of emoji: CLDR labels and tags from emojibase."""

import re
from collections.abc import Mapping
from pathlib import Path

from .documents import read_emoji


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())


def read(source: Path) -> Mapping[str, tuple[str, ...]]:
    """Plain label -> (label, tag, tag ...) from emojibase's archive, or from a JSON file of that form."""
    named = {}
    for entry in read_emoji(source):
        label = _plain(entry.label)
        named.setdefault(label, (label, *(_plain(tag) for tag in entry.tags)))
    return named

"""Families: sets by one author, or derived from one another, are held out together or not at all."""

import json
from collections.abc import Mapping
from importlib import resources

from .icons import IconSet

POOL = "pool"
TUNING = "tuning"

# Pairs of sets that share drawings though their authors differ (perceptual hashes agree for a seventh of one or more).
_DERIVED = (
    ("reicon", "solar"), ("icons8", "la"), ("ic", "material-symbols"), ("ic", "mdi"), ("feather", "lucide"),
    ("maki", "pinhead"), ("temaki", "pinhead"), ("map", "pinhead"), ("famicons", "ion"), ("zmdi", "mdi"),
    ("boxicons", "bx"), ("uim", "uil"), ("noto", "noto-v1"), ("codicon", "fluent"), ("heroicons-solid", "heroicons"),
    ("ei", "bytesize"),
)


def roles() -> dict[str, tuple[str, ...]]:
    """Which sets name the families that are held out, by the evaluation set that they make (roles.json)."""
    return {role: tuple(sets) for role, sets in _data("roles.json").items()}


def classes() -> dict[str, tuple[str, ...]]:
    """Class name -> base names that mean it (classes.json)."""
    return {name: (name, *synonyms) for name, synonyms in _data("classes.json").items()}


def _data(name: str):
    return json.loads((resources.files(__package__) / "data" / name).read_text(encoding="utf-8"))


def families(sets: Mapping[str, IconSet]) -> dict[str, str]:
    """Set -> family: the first, by name, of the sets joined to it by author or derivation."""
    parent = {prefix: prefix for prefix in sets}

    def root(prefix: str) -> str:
        while parent[prefix] != prefix:
            prefix = parent[prefix]
        return prefix

    def join(one: str, other: str) -> None:
        if one in parent and other in parent:
            first, second = sorted((root(one), root(other)))
            parent[second] = first

    by_author: dict[str, str] = {}
    for prefix in sorted(sets):
        author = sets[prefix].author.lower()
        if author:
            join(prefix, by_author.setdefault(author, prefix))
    for one, other in _DERIVED:
        join(one, other)
    return {prefix: root(prefix) for prefix in sets}


def assign(sets: Mapping[str, IconSet]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Where each set goes: set -> `pool`, `tuning` or `held out`; and evaluation set -> its sets.

    A set whose family is named by a role but which is not named itself is held out and used nowhere, so that no
    family stands on both sides.
    """
    family = families(sets)
    place = dict.fromkeys(sets, POOL)
    members: dict[str, list[str]] = {}
    for role, named in roles().items():
        present = [prefix for prefix in named if prefix in sets]
        members[role] = present
        touched = {family[prefix] for prefix in present}
        for prefix in sets:
            if family[prefix] in touched:
                place[prefix] = TUNING if role == TUNING else "held out"
    return place, members


def distribution(icon_set: IconSet) -> str:
    """Pre-training distribution of a set: `interface` for user-interface and Material sets, else `pictorial`."""
    return "interface" if icon_set.category.startswith(("UI", "Material")) else "pictorial"

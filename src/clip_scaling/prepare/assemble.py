"""From rendered icons to the pool and its evaluation sets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .duplicates import THRESHOLD, nearest
from .families import POOL, TUNING, assign, classes, families
from .folders import Labelled
from .icons import Collection, Icon
from .names import draw, words
from .render import Render

_FREQUENT = 25  # classes of the smaller task
_RETRIEVAL = 1000  # pairs of a retrieval set
_SHIFTS = ("icons-designers", "icons-pixel", "icons-colour", "icons-sketch", "icons-emoji")


@dataclass(frozen=True)
class Placed:
    """An icon with its base name and place (`pool`, `tuning` or `held out`)."""

    icon: Icon
    base: str
    place: str


@dataclass(frozen=True)
class Rendered(Placed):
    """The same with its render."""

    render: Render


@dataclass(frozen=True)
class EvaluationSet:
    """Splits of an evaluation set: `test` (clean), `near_duplicate`, and `train` for probes."""

    name: str
    classnames: tuple[str, ...]  # none: retrieval
    splits: Mapping[str, Sequence[Labelled]]
    tuning: bool = False


@dataclass(frozen=True)
class Plan:
    """What is worth rendering: all of the pool, and of the held-out families what an evaluation set can use."""

    placed: list[Placed]
    by_role: Mapping[str, frozenset[str]]  # evaluation set -> its icon sets
    captions: Mapping[str, Mapping[str, str]]  # retrieval set -> key -> caption


def plan(collection: Collection, emoji: Mapping[str, tuple[str, ...]], seed: int) -> Plan:
    """Place every icon and choose what to render."""
    place, members = assign(collection.sets)
    placed = [Placed(icon, words(icon, collection.sets[icon.set]).base, place[icon.set]) for icon in collection.icons]
    by_role = {role: frozenset(sets) for role, sets in members.items()}
    held = [item for item in placed if item.place != POOL]
    named = [item for item in held if item.icon.set in by_role["icons-emoji"] and item.base in emoji]
    captions = {
        "icons-retrieval": _distinct([item for item in held if item.icon.set in by_role["icons"]], lambda item: item.base, seed),
        "emoji-retrieval": _distinct(named, lambda item: emoji[item.base][0], seed),
    }
    class_of, used = _class_of(), frozenset().union(*by_role.values())
    asked = frozenset().union(*captions.values())
    wanted = [item for item in placed
              if item.place == POOL or item.icon.key in asked or (item.icon.set in used and item.base in class_of)]
    return Plan(wanted, by_role, captions)


def _class_of() -> dict[str, str]:
    return {base: name for name, meant in classes().items() for base in meant}


def with_renders(placed: Sequence[Placed], renders: Sequence[Render]) -> list[Rendered]:
    """Join icons with their renders; what could not be rendered is left to the caller's count."""
    return [Rendered(item.icon, item.base, item.place, made)
            for item, made in zip(placed, renders, strict=True) if made.left_out is None]


def evaluation_sets(collection: Collection, planned: Plan, rendered: Sequence[Rendered], seed: int) -> list[EvaluationSet]:
    """All sets made of held-out families. Images with a near-duplicate in the pool stand in their own split."""
    pool = [item for item in rendered if item.place == POOL]
    held = [item for item in rendered if item.place != POOL]
    class_of = _class_of()
    by_role = {role: [item for item in held if item.icon.set in sets] for role, sets in planned.by_role.items()}
    candidates = {name: [item for item in held if item.icon.key in captions] for name, captions in planned.captions.items()}
    labelled = {role: [item for item in items if item.base in class_of] for role, items in by_role.items()}
    near = _near_duplicates([*labelled.values(), *candidates.values()], pool)
    names = _class_names(labelled["icons"], near, pool, class_of, collection)
    few = _frequent(names, pool, class_of, collection)
    sets = [_classified("icons", labelled["icons"], names, class_of, near)]
    sets.append(_classified("icons-frequent", labelled["icons"], few, class_of, near))
    sets += [_classified(role, labelled[role], names, class_of, near) for role in _SHIFTS]
    sets.append(_classified("icons", labelled[TUNING], names, class_of, near, tuning=True))
    sets += [_retrieved(name, part, planned.captions[name], near) for name, part in candidates.items()]
    sets.append(_probe(labelled["icons"], few, class_of, seed))
    return [made for made in sets if made.splits.get("test")]


def _distinct(items: Sequence[Placed], caption, seed: int) -> dict[str, str]:
    """Key -> caption of one image a caption, drawn by hash; half more than a retrieval set needs, as some will go."""
    chosen: dict[str, str] = {}
    for item in sorted(items, key=lambda item: draw(item.icon.key, "retrieval", seed)):
        chosen.setdefault(caption(item), item.icon.key)
    return {key: said for said, key in list(chosen.items())[: _RETRIEVAL * 3 // 2]}


def _near_duplicates(groups: Sequence[Sequence[Rendered]], pool: Sequence[Rendered]) -> set[str]:
    """Keys of the items that have a near-duplicate in the pool."""
    items = list({item.icon.key: item for group in groups for item in group}.values())
    if not items or not pool:
        return set()
    found = nearest(np.stack([item.render.ink for item in items]), np.stack([item.render.ink for item in pool]))
    return {item.icon.key for item, cosine in zip(items, found, strict=True) if cosine >= THRESHOLD}


def _class_names(labelled, near, pool, class_of, collection) -> list[str]:
    """Classes with a clean held-out image and an image in the pool, in alphabetical order."""
    held = {class_of[item.base] for item in labelled if item.icon.key not in near}
    trained = {class_of[item.base] for item in pool if item.base in class_of}
    return sorted(held & trained)


def _frequent(names: Sequence[str], pool, class_of, collection: Collection) -> list[str]:
    """The classes that most families of the pool draw, at most 25 and at most half of all."""
    family = families(collection.sets)
    drawn = defaultdict(set)
    for item in pool:
        if item.base in class_of:
            drawn[class_of[item.base]].add(family[item.icon.set])
    by_count = sorted(names, key=lambda name: (-len(drawn[name]), name))
    return sorted(by_count[: max(2, min(_FREQUENT, len(names) // 2))])


def _labels(items: Sequence[Rendered], names: Sequence[str], class_of: Mapping[str, str]) -> list[tuple[Rendered, Labelled]]:
    number = {name: position for position, name in enumerate(names)}
    return [(item, Labelled(item.icon.key, item.render.png, number[class_of[item.base]]))
            for item in items if class_of[item.base] in number]


def _classified(name, items, names, class_of, near, tuning=False) -> EvaluationSet:
    pairs = _labels(items, names, class_of)
    splits = {"test": [label for item, label in pairs if item.icon.key not in near],
              "near_duplicate": [label for item, label in pairs if item.icon.key in near]}
    return EvaluationSet(name, tuple(names), splits, tuning)


def _retrieved(name: str, items: Sequence[Rendered], captions: Mapping[str, str], near: set[str]) -> EvaluationSet:
    clean = [Labelled(item.icon.key, item.render.png, captions[item.icon.key]) for item in items if item.icon.key not in near]
    return EvaluationSet(name, (), {"test": clean[:_RETRIEVAL]})


def _probe(items: Sequence[Rendered], names, class_of, seed: int) -> EvaluationSet:
    """Concept labels of held-out families, half of the images to learn from, by hash of the key.

    A test image with a near-duplicate in that half is left out: the probe would only have to remember it.
    """
    pairs = _labels(items, names, class_of)
    train = [(item, label) for item, label in pairs if draw(item.icon.key, "probe", seed) < 0.5]
    learnt = {item.icon.key for item, _ in train}
    test = [(item, label) for item, label in pairs if item.icon.key not in learnt]
    near = _near_duplicates([[item for item, _ in test]], [item for item, _ in train])
    return EvaluationSet("icons-frequent-probe", tuple(names), {
        "train": [label for _, label in train],
        "test": [label for item, label in test if item.icon.key not in near],
    })


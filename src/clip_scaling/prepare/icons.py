"""Icon sets in iconify's JSON form: read from the package's archive or a folder, filtered with reasons."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..core.errors import UserError
from .cost import elements_drawn
from .documents import Box, IconDocument, read_icon_sets

# Licences under which a drawing may be rendered and trained on without conditions that reach the result.
_LICENCES = {"MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-3.0", "CC0-1.0", "OFL-1.1", "ISC", "Unlicense", "MPL-2.0", "BSD-3-Clause"}
# Sets of logos that the packager's category does not give away.
_LOGO_SETS = re.compile(
    r"^(fa\d?-brands|devicon.*|skill-icons|file-icons|vscode-icons|gcp|k8s|unjs|selfhst|thesvg.*|token.*|simple-icons|logos"
    r"|streamline-logos|cib|cryptocurrency.*|bxl|nonicons)$"
)
_LARGEST_BODY = 60_000  # characters; the renderer's time grows with it
_USUAL_BOX = {"left": 0.0, "top": 0.0, "width": 16.0, "height": 16.0}
_LARGEST_SIDE = 4_096  # of a view box; drawings beyond are faults
# What makes a drawing do more than draw: scripts, handlers, foreign content, references to other files, entities.
_ACTIVE = re.compile(
    r"<\s*(script|foreignObject|iframe|object|embed|image|style|text)\b|<!|<\?|\bon[a-z]+\s*=|javascript:"
    r"|(?:href|src)\s*=\s*[\"'](?!#)|url\(\s*[\"']?(?!#)", re.I)
# Hundreds of megabytes are searched: the pattern is asked only where one of these stands.
_SUSPECT = ("<script", "<foreign", "<iframe", "<object", "<embed", "<image", "<style", "<text", "<!", "<?", "script:",
            " on", "\ton", "\non", "\"on", "'on", "href", "src", "url(", "< ")
# Groups in groups deepen the renderer's recursion until the process dies, copies of copies keep it busy for hours. The
# icons that are used hold 163 closing tags and draw 1,804 elements at most.
_MOST_CLOSED, _MOST_DRAWN = 200, 10_000
_ANIMATED = re.compile(r"<\s*(animate|set\b)", re.I)


class LeftOut(StrEnum):
    """Why a set or a drawing is not used."""

    LICENCE_NONCOMMERCIAL = "licence forbids commercial use"
    LICENCE_COPYLEFT = "licence is copyleft or share-alike"
    LICENCE_OTHER = "licence is not on the list of permissive ones"
    LOGOS = "logos: trademarks"
    HIDDEN = "hidden by the packager"
    ANIMATED = "animated"
    LARGE = "drawing is too large"
    BROKEN = "drawing is no well-formed XML"
    COSTLY = "drawing nests or repeats too much, or holds a pattern or noise"
    ACTIVE = "drawing holds more than shapes (script, text, foreign file or entity)"
    SAME_BODY = "same drawing as another icon"
    UNNAMED = "name without a word"
    BLANK = "blank at this size"
    RENDER_FAILED = "could not be rendered"


@dataclass(frozen=True)
class IconSet:
    """A set: its prefix, title, author, licence (SPDX), category and style suffixes."""

    prefix: str
    title: str
    author: str
    license: str
    license_url: str
    category: str
    palette: bool
    suffixes: tuple[str, ...]


@dataclass(frozen=True)
class Icon:
    """A drawing: SVG body without frame, its view box (left, top, width, height) and category in the set."""

    set: str
    name: str
    body: str
    view_box: tuple[float, float, float, float]
    category: str

    @property
    def key(self) -> str:
        return f"{self.set}:{self.name}"


@dataclass(frozen=True)
class Collection:
    """Icons that are used, their sets, and what was left out and why."""

    icons: list[Icon]
    sets: dict[str, IconSet]
    left_out_sets: dict[str, LeftOut]
    left_out_icons: Counter


def collect(source: Path) -> Collection:
    """Read every set of `source` and keep what may be used. Order: by key, whatever the archive's order."""
    icons, sets, left_sets, left_icons = [], {}, {}, Counter()
    for document in read_icon_sets(source):
        icon_set = _icon_set(document)
        if icon_set.prefix in sets or icon_set.prefix in left_sets:
            raise UserError(f"holds two icon sets {icon_set.prefix!r}", where=source, mend="leave one of the two out")
        if reason := _set_reason(icon_set):
            left_sets[icon_set.prefix] = reason
            left_icons[reason] += len(document.icons)
            continue
        sets[icon_set.prefix] = icon_set
        for icon, reason in _icons(document):
            if reason:
                left_icons[reason] += 1
            else:
                icons.append(icon)
    icons.sort(key=lambda icon: icon.key)
    unique = _without_same_bodies(icons)
    left_icons[LeftOut.SAME_BODY] += len(icons) - len(unique)
    return Collection(unique, sets, left_sets, left_icons)


def _icon_set(document: IconDocument) -> IconSet:
    info = document.info
    return IconSet(
        prefix=document.prefix, title=document.prefix if info.name is None else info.name, author=info.author.name,
        license=info.license.spdx, license_url=info.license.url, category=info.category or "", palette=info.palette,
        suffixes=tuple(key for key in document.suffixes if key),
    )


def _set_reason(icon_set: IconSet) -> LeftOut | None:
    if "-NC" in icon_set.license:
        return LeftOut.LICENCE_NONCOMMERCIAL
    if "GPL" in icon_set.license or "-SA-" in icon_set.license:
        return LeftOut.LICENCE_COPYLEFT
    if icon_set.license not in _LICENCES:
        return LeftOut.LICENCE_OTHER
    if icon_set.category == "Logos" or _LOGO_SETS.match(icon_set.prefix):
        return LeftOut.LOGOS
    return None


def _icons(document: IconDocument) -> Iterator[tuple[Icon, LeftOut | None]]:
    categories = {name: category for category, names in document.categories.items() for name in names}
    for name, drawing in document.icons.items():
        icon = Icon(document.prefix, name, drawing.body, _view_box(drawing, document), categories.get(name, ""))
        yield icon, _icon_reason(icon, drawing.hidden)


def _view_box(*boxes: Box) -> tuple[float, float, float, float]:
    """Each side from the first of `boxes` that names it."""
    return tuple(
        next((side for box in boxes if (side := getattr(box, name)) is not None), usual) for name, usual in _USUAL_BOX.items()
    )


def _icon_reason(icon: Icon, hidden: bool) -> LeftOut | None:
    if hidden:
        return LeftOut.HIDDEN
    if re.match(r"(brand|logo)s?-", icon.name):
        return LeftOut.LOGOS
    if len(icon.body) > _LARGEST_BODY or not 0 < max(icon.view_box[2:]) <= _LARGEST_SIDE or min(icon.view_box[2:]) <= 0:
        return LeftOut.LARGE
    if ("<set" in icon.body or "<animate" in icon.body or "< " in icon.body) and _ANIMATED.search(icon.body):
        return LeftOut.ANIMATED
    if _is_active(icon.body):
        return LeftOut.ACTIVE
    return _cost_reason(icon.body) or (None if re.search("[a-z]", icon.name) else LeftOut.UNNAMED)


def _is_active(body: str) -> bool:
    lower = body.lower()
    return any(word in lower for word in _SUSPECT) and bool(_ACTIVE.search(lower))


def _cost_reason(body: str) -> LeftOut | None:
    if body.count("</") > _MOST_CLOSED:
        return LeftOut.COSTLY
    if body.count("<") <= _MOST_CLOSED and not any(word in body for word in ("url(", "href", "&")):
        return None  # most: too few elements to be deep, and none refers to another
    try:
        return LeftOut.COSTLY if elements_drawn(body) > _MOST_DRAWN else None
    except ValueError:
        return LeftOut.BROKEN


def _without_same_bodies(icons: list[Icon]) -> list[Icon]:
    seen, unique = set(), []
    for icon in icons:
        if (icon.body, icon.view_box) not in seen:
            seen.add((icon.body, icon.view_box))
            unique.append(icon)
    return unique

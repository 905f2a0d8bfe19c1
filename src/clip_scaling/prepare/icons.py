"""Icon sets in iconify's JSON form: read from the package's archive or a folder, filtered with reasons."""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..core.errors import UserError

# Licences under which a drawing may be rendered and trained on without conditions that reach the result.
_LICENCES = {"MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-3.0", "CC0-1.0", "OFL-1.1", "ISC", "Unlicense", "MPL-2.0", "BSD-3-Clause"}
# Sets of logos that the packager's category does not give away.
_LOGO_SETS = re.compile(
    r"^(fa\d?-brands|devicon.*|skill-icons|file-icons|vscode-icons|gcp|k8s|unjs|selfhst|thesvg.*|token.*|simple-icons|logos"
    r"|streamline-logos|cib|cryptocurrency.*|bxl|nonicons)$"
)
_LARGEST_BODY = 60_000  # characters; the renderer's time grows with it
_LARGEST_SIDE = 4_096  # of a view box; drawings beyond are faults
# What makes a drawing do more than draw: scripts, handlers, foreign content, references to other files, entities.
_ACTIVE = re.compile(
    r"<\s*(script|foreignObject|iframe|object|embed|image|style|text)\b|<!|<\?|\bon[a-z]+\s*=|javascript:"
    r"|(?:href|src)\s*=\s*[\"'](?!#)|url\(\s*[\"']?(?!#)", re.I)
# Hundreds of megabytes are searched: the pattern is asked only where one of these stands.
_SUSPECT = ("<script", "<foreign", "<iframe", "<object", "<embed", "<image", "<style", "<text", "<!", "<?", "script:",
            " on", "\ton", "\non", "\"on", "'on", "href", "src", "url(", "< ")
# Few bytes can keep the renderer busy for hours, or deepen its recursion until the process dies: copies of copies, noise
# of a billion octaves, groups in groups. The icons that are used hold 163 closing tags and 84 copies at most.
_MOST_CLOSED, _MOST_COPIES = 200, 128
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
    COSTLY = "drawing nests or repeats too much, or makes noise"
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


def read_documents(source: Path) -> Iterator[dict]:
    """JSON documents of the icon sets, from the package's archive or from a folder of *.json. Raises UserError."""
    try:
        if source.is_dir():
            for path in sorted(source.glob("*.json")):
                yield json.loads(path.read_text(encoding="utf-8"))
            return
        with tarfile.open(source, "r|gz") as archive:
            for member in archive:
                if re.fullmatch(r"package/json/[a-z0-9-]+\.json", member.name) and member.isfile():
                    yield json.load(archive.extractfile(member))
    except (json.JSONDecodeError, tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"holds a broken icon set ({error})", where=source, mend="remove it and run the command again") from None


def collect(source: Path) -> Collection:
    """Read every set of `source` and keep what may be used. Order: by key, whatever the archive's order."""
    icons, sets, left_sets, left_icons = [], {}, {}, Counter()
    for document in read_documents(source):
        icon_set = _icon_set(document)
        if reason := _set_reason(icon_set):
            left_sets[icon_set.prefix] = reason
            left_icons[reason] += len(document["icons"])
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


def _icon_set(document: dict) -> IconSet:
    info = document.get("info", {})
    license_ = info.get("license", {})
    return IconSet(
        prefix=document["prefix"], title=info.get("name", document["prefix"]), author=info.get("author", {}).get("name", ""),
        license=license_.get("spdx", ""), license_url=license_.get("url", ""), category=info.get("category") or "",
        palette=bool(info.get("palette")), suffixes=tuple(key for key in document.get("suffixes", {}) if key),
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


def _icons(document: dict) -> Iterator[tuple[Icon, LeftOut | None]]:
    default = {side: document.get(side, 16) for side in ("width", "height")} | {
        side: document.get(side, 0) for side in ("left", "top")}
    categories = {name: category for category, names in document.get("categories", {}).items() for name in names}
    for name, entry in document["icons"].items():
        box = tuple(float(entry.get(side, default[side])) for side in ("left", "top", "width", "height"))
        icon = Icon(document["prefix"], name, entry.get("body", ""), box, categories.get(name, ""))
        yield icon, _icon_reason(icon, bool(entry.get("hidden")))


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
    if _is_costly(icon.body):
        return LeftOut.COSTLY
    return None if re.search("[a-z]", icon.name) else LeftOut.UNNAMED


def _is_active(body: str) -> bool:
    lower = body.lower()
    return any(word in lower for word in _SUSPECT) and bool(_ACTIVE.search(lower))


def _is_costly(body: str) -> bool:
    copies = body.count("<use") + body.count(":use")
    return body.count("</") > _MOST_CLOSED or copies > _MOST_COPIES or "feTurbulence" in body


def _without_same_bodies(icons: list[Icon]) -> list[Icon]:
    seen, unique = set(), []
    for icon in icons:
        if (icon.body, icon.view_box) not in seen:
            seen.add((icon.body, icon.view_box))
            unique.append(icon)
    return unique

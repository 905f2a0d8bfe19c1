"""From an icon's name to words: base name, style words, caption."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .icons import Icon, IconSet

# Words that say how an icon is drawn, not what it shows; stripped from the ends of a name.
_STYLES = frozenset(
    "outline outlined outlines filled fill line linear lines bold duotone twotone thin light regular solid rounded round sharp"
    " broken duo stroke stroked baseline mini micro monochrome flat color colored colour alt icon fat o rtl ltr".split()
)
# Styles that some sets put first; others of the list may begin a name that means what it says (line chart).
_LEADING = frozenset("baseline outline round sharp twotone".split())
_PAUSE = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Words:
    """A name in words: `base` says what is shown, `style` how it is drawn, `raw` is the whole name."""

    base: str
    style: str
    raw: str


def words(icon: Icon, icon_set: IconSet) -> Words:
    """Split a name. A name of style words alone keeps them as its base."""
    parts = [part for part in _PAUSE.split(icon.name.lower()) if part]
    styles = _STYLES | {part for suffix in icon_set.suffixes for part in suffix.split("-")}
    left, right = 0, len(parts)
    while right > left + 1 and _is_style(parts[right - 1], styles):
        right -= 1
    while left < right - 1 and parts[left] in _LEADING:
        left += 1
    style = [part for part in parts[:left] + parts[right:] if not part.isdigit()]
    return Words(" ".join(parts[left:right]), " ".join(style), " ".join(parts))


def _is_style(part: str, styles: frozenset[str]) -> bool:
    return part in styles or part.isdigit() or bool(re.fullmatch(r"\d+(px|x)?|x\d+|v\d+", part))


def draw(key: str, purpose: str, seed: int) -> float:
    """A number in [0, 1) that only the key, the purpose and the seed determine."""
    value = hashlib.sha256(f"{seed}:{purpose}:{key}".encode()).digest()
    return int.from_bytes(value[:7], "big") / 2**56


def caption(icon: Icon, icon_set: IconSet, emoji: Mapping[str, tuple[str, ...]], seed: int) -> str:
    """Caption of a training image, drawn by hash of its key.

    Half are the base name alone; a tenth each adds "icon", the style, the category, or the set's title, or is the raw
    name. Where the base name is that of an emoji (CLDR), half of the captions are its label and up to four tags.
    """
    said = words(icon, icon_set)
    if said.base in emoji and draw(icon.key, "emoji", seed) < 0.5:
        return " ".join(emoji[said.base][:5])
    recipe = int(draw(icon.key, "caption", seed) * 10)
    category = icon.category or icon_set.category
    extras = {5: f"{said.base} icon", 6: f"{said.base} {said.style}", 7: f"{category} {said.base}",
              8: f"{said.base} {icon_set.title}", 9: said.raw}
    return " ".join(_PAUSE.sub(" ", extras.get(recipe, said.base).lower()).split())

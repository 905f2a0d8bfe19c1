"""How much work a drawing makes for the renderer, reckoned from its elements and references, nothing rendered.

A clip, mask, marker, filter or copy costs what it refers to each time it is used, so that twenty of them, each of which
uses the one before twice, are a million. Few bytes can thus keep the renderer busy for hours.
"""

import math
import re
from collections.abc import Mapping
from xml.etree import ElementTree

_FRAME = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'
_REFERENCE = re.compile(r"url\(\s*[\"']?\s*#([^\"')]+)")
_CHARACTERS = 100  # of attributes weigh as much as an element
# What works for as long, or takes as much memory, as a number in it says. No icon that is used holds any.
_BOUNDLESS = re.compile(r"\}(pattern|fe(Turbulence|Image|ConvolveMatrix|Morphology|Tile|DisplacementMap|\w+Lighting))$")
_DEEPEST = 12  # references that lead to references: more of them, or a circle, is more than any number of elements


def elements_drawn(body: str) -> float:
    """Elements that `body` draws in the end, a reference counted as all that it leads to.

    Long attributes count as more elements, and a marker once for each character of path data that may set it. Infinite
    for references in a circle, and for a pattern or noise. Raises ValueError where `body` is no well-formed XML.
    """
    try:
        elements = list(ElementTree.fromstring(_FRAME.format(body)).iter())
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    elements.reverse()  # children come before what holds them
    own = [(element, _size(element), _references(element)) for element in elements]
    vertices = sum(len(element.get("d", "")) + len(element.get("points", "")) for element in elements)
    known: dict[str, float] = {}
    for _ in range(_DEEPEST):
        weighed, total = _weigh(own, known, vertices)
        if weighed == known:
            return total
        known = weighed
    return math.inf


def _weigh(own, known: Mapping[str, float], vertices: int) -> tuple[dict[str, float], float]:
    """Weight by id, and of the whole, where what is referred to weighs as in `known`."""
    weights, weighed = {}, {}
    for element, size, references in own:
        weight = size + sum(weights[child] for child in element) + sum(known.get(name, 0) for name in references)
        if element.tag.endswith("marker"):
            weight *= max(vertices, 1)
        weights[element] = weight
        if name := element.get("id"):
            weighed[name] = max(weight, weighed.get(name, 0))
    return weighed, weight


def _size(element) -> float:
    if _BOUNDLESS.search(element.tag):
        return math.inf
    return 1 + sum(map(len, element.attrib.values())) / _CHARACTERS


def _references(element) -> list[str]:
    values = [value for value in element.attrib.values() if "#" in value]
    return [name for value in values for name in _REFERENCE.findall(value) or [value.strip().removeprefix("#")]]

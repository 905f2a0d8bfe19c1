"""One look for all charts: transparent, legible on a light and on a dark page, the same colour for the same thing."""

import altair as alt
import pandas as pd

# Each colour has a contrast of 3 or more against both pages (WCAG 1.4.11); tests/charts/test_style.py checks it.
PALETTE = ("#2f81d6", "#d9730d", "#2a9d4a", "#a35fd1", "#d8504d", "#1399a3", "#a87342", "#d1569c", "#777e88", "#b8860b")
INK = "#777e88"  # axes and text where no page sets another colour
PAGES = {"light": "#ffffff", "dark": "#14181e"}
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")

# A line that lies on another lets it be seen.
DASHES = ([1, 0], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2], [12, 2], [6, 2, 2, 2])
LEGEND = alt.Legend(symbolFillColor=INK, symbolStrokeColor=INK)  # of shapes and dashes, which have no colour

# Names with a colour, and architectures with a shape, of their own: the same thing looks alike on every page.
_COLOURS = {
    "LAION": PALETTE[0],
    "CLIP-WIT": PALETTE[1],
    "LAION-80M": PALETTE[5],
    "LAION-400M": PALETTE[2],
    "LAION-2B": PALETTE[0],
    "icons": PALETTE[0],
    "interface": PALETTE[2],
    "pictorial": PALETTE[3],
    "small": PALETTE[5],
    "medium": PALETTE[2],
    "large": PALETTE[0],
}
_ARCHITECTURES = {
    "ViT-B-32": (PALETTE[0], "circle"),
    "ViT-B-16": (PALETTE[1], "square"),
    "ViT-B-16-plus-240": (PALETTE[6], "cross"),
    "ViT-L-14": (PALETTE[2], "triangle-up"),
    "ViT-H-14": (PALETTE[3], "diamond"),
    "ViT-g-14": (PALETTE[4], "triangle-down"),
    "ViT-G-14": (PALETTE[7], "triangle-right"),
    "ViT-bigG-14": (PALETTE[5], "triangle-left"),
    "ViT-XXS-8": (PALETTE[0], "circle"),
    "ViT-XS-8": (PALETTE[1], "square"),
    "ViT-S-8": (PALETTE[2], "triangle-up"),
}
PANEL_WIDTH, PANEL_HEIGHT = 330, 260


def colours(names: list[str]) -> alt.Scale:
    """A colour scale over `names`; known names keep their colour, others take the next free one."""
    return _scale(names, _COLOURS | {name: colour for name, (colour, _) in _ARCHITECTURES.items()}, PALETTE)


def shapes(names: list[str]) -> alt.Scale:
    """A shape scale over `names`; known architectures keep their shape, others take the next free one."""
    return _scale(names, {name: shape for name, (_, shape) in _ARCHITECTURES.items()}, SHAPES)


def dashes(names: list[str]) -> alt.Scale:
    return _scale(names, {}, DASHES)


def _scale(names: list[str], known: dict[str, str], offered: tuple) -> alt.Scale:
    taken = [known.get(name) for name in names]
    free = [one for one in offered if one not in taken]
    chosen = [known.get(name) or (free.pop(0) if free else offered[-1]) for name in names]
    return alt.Scale(domain=list(names), range=chosen)


def specification(chart: alt.TopLevelMixin, alt_text: str) -> dict:
    """The Vega-Lite specification with the look; `alt_text` is what screen readers say.

    Written into the specification itself: Altair's own `configure_...` copy the whole chart at every call.
    """
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 600}
    config = {
        "font": "system-ui, sans-serif",
        "padding": 4,
        "view": {"stroke": None},
        "axis": {
            **text,
            "domainColor": INK,
            "tickColor": INK,
            "gridColor": INK,
            "gridOpacity": 0.18,
            "labelOverlap": True,
            "labelSeparation": 6,
            "labelLimit": 230,
        },
        "legend": {**text, "orient": "top", "columns": 4, "labelLimit": 220, "symbolSize": 70, "symbolOpacity": 1},
        "header": text,
        "title": {"color": INK, "fontSize": 13, "fontWeight": 600, "anchor": "start"},
        "text": {"color": INK},
    }
    spec = chart.to_dict(validate=False)  # the tests validate each chart; doing it here doubles the time
    return {**spec, "background": "transparent", "description": alt_text, "config": config}


def in_order(values: pd.Series) -> list[str]:
    """Distinct names: architectures and subsets by size where the name says it, else as they come."""
    return sorted(dict.fromkeys(values.dropna().astype(str)), key=_rank)


_SIZES = (
    "ViT-XXS",
    "ViT-XS",
    "ViT-S",
    "ViT-B-32",
    "ViT-B/32",
    "ViT-B-16",
    "ViT-B/16",
    "ViT-L",
    "ViT-H",
    "ViT-g",
    "ViT-G",
    "ViT-big",
    "CLIP-WIT",
    "LAION-80M",
    "LAION-400M",
    "LAION-2B",
    "small",
    "medium",
    "large",
)


def _rank(name: str) -> tuple[int, str]:
    return next((i for i, start in enumerate(_SIZES) if name.startswith(start)), len(_SIZES)), name

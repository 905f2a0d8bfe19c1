"""Error against compute, on two logarithmic axes: the figure type of the paper's Figures 1, 2, 3 and 8."""

import altair as alt
import pandas as pd

from . import style

TOOLTIP = {
    "run": ("run", None), "architecture": ("architecture", None), "subset": ("pre-training set", None),
    "samples_seen": ("samples seen", ",.0f"), "unique_samples": ("unique samples", ",.0f"),
    "compute": ("compute (GMAC)", ".3~e"), "error": ("error", ".2%"), "standard_error": ("standard error", ".2%"),
    "panel": ("evaluation set", None),
}


def tooltips(columns: pd.Index) -> list[alt.Tooltip]:
    """Tooltips for the columns that are there; the run comes first."""
    made = []
    for name, (title, form) in TOOLTIP.items():
        if name in columns:
            kind = "nominal" if form is None else "quantitative"
            made.append(alt.Tooltip(name, type=kind, title=title, **({"format": form} if form else {})))
    return made


def error_against_compute(
    points: pd.DataFrame, lines: pd.DataFrame | None = None, *, colour: str = "family", shape: str | None = "architecture",
    error_title: str = "zero-shot error (%)", columns: int = 2,
) -> alt.ConcatChart:
    """One panel a value of `points.panel`, in order of appearance.

    `points`: run, panel, compute (GMAC), error (fraction), the columns `colour` and `shape`.
    `lines`: panel, compute, error and the column `colour`, a fitted law as a polyline; `low` and `high` draw its band.
    """
    colour_scale = style.colours(style.in_order(points[colour]))
    shape_scale = style.shapes(style.in_order(points[shape])) if shape else None
    panels = [
        _panel(points[points["panel"] == panel], _of(lines, panel), panel, colour, colour_scale, shape, shape_scale,
               error_title)
        for panel in dict.fromkeys(points["panel"])
    ]
    return alt.concat(*panels, columns=min(columns, len(panels)))


def _of(lines: pd.DataFrame | None, panel: str) -> pd.DataFrame | None:
    if lines is None or lines.empty:
        return None
    chosen = lines[lines["panel"] == panel]
    return None if chosen.empty else chosen


def _panel(points, lines, title, colour, colour_scale, shape, shape_scale, error_title) -> alt.LayerChart:
    paint = alt.Color(colour, type="nominal", scale=colour_scale, title=_title(colour))
    x = alt.X("compute:Q", scale=alt.Scale(type="log", nice=False, padding=12), title="total compute (GMAC)",
              axis=alt.Axis(format=".0e", tickCount=4))
    domain = error_domain(points, lines)
    y = alt.Y("percent:Q", scale=alt.Scale(type="log", domain=domain, nice=False), title=error_title,
              axis=alt.Axis(values=ticks(*domain), format="~g"))
    data = points.assign(percent=points["error"] * 100)
    encoding = {"x": x, "y": y, "color": paint, "tooltip": tooltips(points.columns)}
    if shape:
        legend = alt.Legend(symbolFillColor=style.INK, symbolStrokeColor=style.INK)
        encoding["shape"] = alt.Shape(shape, type="nominal", scale=shape_scale, title=_title(shape), legend=legend)
    layers = [] if lines is None else _law_layers(lines, x, y, paint)
    layers.append(alt.Chart(data).mark_point(size=70, filled=True, opacity=0.9).encode(**encoding))
    return alt.layer(*layers).properties(title=title, width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)


def _law_layers(lines: pd.DataFrame, x: alt.X, y: alt.Y, paint: alt.Color) -> list[alt.Chart]:
    data = lines.assign(percent=lines["error"] * 100)
    layers = []
    if {"low", "high"} <= set(lines.columns) and lines["low"].notna().any():
        band = data.assign(low=data["low"] * 100, high=data["high"] * 100).dropna(subset=["low", "high"])
        layers.append(alt.Chart(band).mark_area(opacity=0.15).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=paint))
    layers.append(alt.Chart(data).mark_line(strokeWidth=1.6, strokeDash=[5, 3]).encode(x=x, y=y, color=paint))
    return layers


def error_domain(points: pd.DataFrame, lines: pd.DataFrame | None = None) -> list[float]:
    """Percent, a little wider than the data, so that a logarithmic axis begins neither at 1 nor at a mark."""
    values = points["error"] * 100
    values = pd.concat([values, lines["error"] * 100]) if lines is not None else values
    return [float(f"{max(values.min() * 0.92, 0.01):.4g}"), float(f"{min(values.max() * 1.06, 100.5):.4g}")]


def ticks(low: float, high: float) -> list[float]:
    """Round percentages inside the domain: at least three where the domain spans enough."""
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7,
                                                       7.5, 8, 8.5, 9, 9.5)):
        marks = [step * 10.0**power for power in range(-2, 3) for step in steps]
        inside = [round(mark, 6) for mark in marks if low <= mark <= high]
        if len(inside) >= 4:
            return inside
    return inside


def _title(column: str) -> str:
    return {"family": "pre-training distribution", "subset": "pre-training set"}.get(column, column.replace("_", " "))

"""Panels of points and lines on shared encodings: what most figures of the book are made of."""

from dataclasses import dataclass, replace

import altair as alt
import pandas as pd

from . import style


@dataclass(frozen=True)
class Axis:
    """A column on an axis; `percent` shows a fraction as per cent."""

    column: str
    title: str
    log: bool = True
    percent: bool = False
    like_compute: bool = False  # powers of ten as labels

    @property
    def field(self) -> str:
        return f"{self.column}_pct" if self.percent else self.column


COMPUTE = Axis("compute", "total compute (GMAC)", like_compute=True)
ERROR = Axis("error", "error (%)", percent=True)

# column: (title, format; None for text)
TOOLTIPS = {
    "run": ("run", None),
    "model": ("model", None),
    "architecture": ("architecture", None),
    "subset": ("pre-training set", None),
    "family": ("distribution", None),
    "stage": ("stage", None),
    "kind": ("kind", None),
    "study": ("study", None),
    "samples_seen": ("samples seen", ",.0f"),
    "unique_samples": ("unique samples", ",.0f"),
    "compute": ("compute (GMAC)", ".3~e"),
    "gmacs_per_sample": ("GMAC per sample", ".3~g"),
    "error": ("error", ".2%"),
    "value": ("score", ".2%"),
    "standard_error": ("standard error", ".2%"),
    "gpus": ("GPUs", ",.0f"),
    "image_size": ("image size (px)", ".0f"),
    "intermediate": ("fine-tuned before on", None),
    "epoch": ("epoch", ".0f"),
    "fitted": ("in the fit", None),
    "main_error": ("error on the main set", ".2%"),
    "gpu_hours": ("GPU-hours", ",.0f"),
    "panel": ("evaluation set", None),
}
_TITLES = {"family": "pre-training distribution", "subset": "pre-training set"}


def tooltips(columns: pd.Index) -> list[alt.Tooltip]:
    """Tooltips for the columns that are there; what names the run comes first."""
    return [
        alt.Tooltip(name, title=title, **({"type": "quantitative", "format": form} if form else {"type": "nominal"}))
        for name, (title, form) in TOOLTIPS.items()
        if name in columns
    ]


def panels(
    points: pd.DataFrame,
    *,
    x: Axis = COMPUTE,
    y: Axis = ERROR,
    colour: str = "family",
    shape: str | None = "architecture",
    lines: pd.DataFrame | None = None,
    join: str | None = None,
    columns: int = 2,
    height: int = style.PANEL_HEIGHT,
) -> alt.ConcatChart:
    """One panel a value of `points.panel`, in order of appearance.

    `lines`: panel, both axes' columns, and `colour` unless they belong to none; `low` and `high` draw a band.
    `join`: points of one value of this column are joined, in order of x.
    """
    paint = _Paint(
        colour,
        shape,
        style.colours(style.in_order(points[colour])),
        style.shapes(style.in_order(points[shape])) if shape else None,
        join,
    )
    made = []
    for name in dict.fromkeys(points["panel"]):
        own = None if lines is None or lines.empty else lines[lines["panel"] == name]
        made.append(
            _panel(points[points["panel"] == name], None if own is None or own.empty else own, x, y, paint).properties(
                title=name, width=style.PANEL_WIDTH, height=height
            )
        )
    return alt.concat(*made, columns=min(columns, len(made)))


@dataclass(frozen=True)
class _Paint:
    colour: str
    shape: str | None
    colours: alt.Scale
    shapes: alt.Scale | None
    join: str | None

    @property
    def color(self) -> alt.Color:
        return alt.Color(self.colour, type="nominal", scale=self.colours, title=title_of(self.colour))

    @property
    def encodings(self) -> dict:
        if not self.shape:
            return {"color": self.color}
        return {
            "color": self.color,
            "shape": alt.Shape(
                self.shape, type="nominal", scale=self.shapes, title=title_of(self.shape), legend=_LEGEND
            ),
        }


def title_of(column: str) -> str:
    return _TITLES.get(column, column.replace("_", " "))


def _panel(points: pd.DataFrame, lines: pd.DataFrame | None, x: Axis, y: Axis, paint: _Paint) -> alt.LayerChart:
    at = {"x": _channel(alt.X, x, points, None), "y": _channel(alt.Y, y, points, lines)}
    data = _percent(points, x, y)
    layers = [] if lines is None else _law_layers(_percent(lines, x, y), at, y, paint)
    if paint.join:
        layers.append(
            alt.Chart(data)
            .mark_line(strokeWidth=1.2, opacity=0.6)
            .encode(**at, color=paint.color, detail=alt.Detail(paint.join, type="nominal"))
        )
    encodings = {**at, **paint.encodings, "tooltip": tooltips(points.columns)}
    if "fitted" in data and (data["fitted"] == "left out").any():
        encodings["opacity"] = alt.Opacity(
            "fitted",
            type="nominal",
            title="in the fit",
            legend=_LEGEND,
            scale=alt.Scale(domain=["fitted", "left out"], range=[0.9, 0.3]),
        )
    mark = {"size": 64, "filled": True} | ({} if "opacity" in encodings else {"opacity": 0.9})
    layers.append(alt.Chart(data).mark_point(**mark).encode(**encodings))
    return alt.layer(*layers)


_LEGEND = alt.Legend(symbolFillColor=style.INK, symbolStrokeColor=style.INK)


def _percent(rows: pd.DataFrame, *axes: Axis) -> pd.DataFrame:
    return rows.assign(**{axis.field: rows[axis.column] * 100 for axis in axes if axis.percent})


def _law_layers(lines: pd.DataFrame, at: dict, y: Axis, paint: _Paint) -> list[alt.Chart]:
    layers = []
    color = paint.color if paint.colour in lines else alt.value(style.INK)  # a line of no family is a reference
    if {"low", "high"} <= set(lines.columns) and lines["low"].notna().any():
        factor = 100 if y.percent else 1
        band = lines.assign(low=lines["low"] * factor, high=lines["high"] * factor).dropna(subset=["low", "high"])
        layers.append(
            alt.Chart(band)
            .mark_area(opacity=0.15)
            .encode(x=at["x"], y=alt.Y("low", type="quantitative"), y2="high:Q", color=color)
        )
    layers.append(alt.Chart(lines).mark_line(strokeWidth=1.6, strokeDash=[5, 3]).encode(**at, color=color))
    return layers


def _channel(channel: type, axis: Axis, points: pd.DataFrame, lines: pd.DataFrame | None):
    if axis.like_compute:
        return channel(
            axis.field,
            type="quantitative",
            title=axis.title,
            axis=alt.Axis(format=".0e", tickCount=4),
            scale=alt.Scale(type="log", nice=False, padding=12),
        )
    if not axis.log:
        return channel(axis.field, type="quantitative", title=axis.title, scale=alt.Scale(zero=False, padding=10))
    low, high = domain(axis, points, lines)
    return channel(
        axis.field,
        type="quantitative",
        title=axis.title,
        axis=alt.Axis(values=ticks(low, high), format="~s" if high > 1000 else "~g"),
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
    )


def domain(axis: Axis, points: pd.DataFrame, lines: pd.DataFrame | None = None) -> tuple[float, float]:
    """A little wider than the data, so that a logarithmic axis begins neither at 1 nor at a mark."""
    values = points[axis.column] if lines is None else pd.concat([points[axis.column], lines[axis.column]])
    values = values * (100 if axis.percent else 1)
    low, high = max(values.min() * 0.92, 1e-3), values.max() * 1.06
    return float(f"{low:.4g}"), float(f"{min(high, 100.5) if axis.percent else high:.4g}")


_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(i / 10 for i in range(10, 100, 5)))


def ticks(low: float, high: float) -> list[float]:
    """Round numbers inside [low, high]: the coarsest steps that give four, else the finest."""
    inside: list[float] = []
    for steps in _STEPS:
        inside = [
            mark
            for power in range(-3, 13)
            for step in steps
            if low <= (mark := float(f"{step * 10.0**power:.6g}")) <= high
        ]
        if len(inside) >= 4:
            return inside
    return inside


def error_against_compute(
    points: pd.DataFrame, lines: pd.DataFrame | None = None, *, error_title: str = "error (%)", **how: object
) -> alt.ConcatChart:
    """Error against compute on two logarithmic axes: the figure type of the paper's Figures 1, 2, 3 and 8."""
    return panels(points, y=replace(ERROR, title=error_title), lines=lines, **how)


def trade_off(rows: pd.DataFrame) -> alt.LayerChart:
    """`rows`: architecture, compute, samples_seen, error, low, high, beyond (decades), best: predictions."""
    y = Axis("error", "predicted error (%)", percent=True)
    data = _percent(rows, y).assign(low=rows["low"] * 100, high=rows["high"] * 100)
    low, high = domain(y, rows.assign(error=rows["low"].clip(lower=0.01)), rows.assign(error=rows["high"]))
    at = {
        "x": _channel(alt.X, COMPUTE, rows, None),
        "y": alt.Y(
            y.field,
            type="quantitative",
            title=y.title,
            axis=alt.Axis(values=ticks(low, high), format="~g"),
            scale=alt.Scale(type="log", domain=[low, high], nice=False, clamp=True),
        ),
    }
    paint = alt.Color("architecture:N", scale=style.colours(style.in_order(rows["architecture"])))
    tips = [*tooltips(rows.columns), alt.Tooltip("beyond:Q", title="decades beyond the models", format=".1f")]
    band = (
        alt.Chart(data[data["best"]])
        .mark_area(opacity=0.15, color=style.INK)
        .encode(x=at["x"], y=alt.Y("low", type="quantitative"), y2="high:Q")
    )
    lines = alt.Chart(data).mark_line(strokeWidth=1.8).encode(**at, color=paint, tooltip=tips)
    layers = [band, lines]
    inside = rows.loc[rows["beyond"] == 0, "compute"]
    if len(inside):
        edge = pd.DataFrame({"compute": [inside.max()]})
        layers.append(alt.Chart(edge).mark_rule(color=style.INK, strokeDash=[3, 3]).encode(x=at["x"]))
    return alt.layer(*layers).properties(width=620, height=360)

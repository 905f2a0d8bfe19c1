"""Panels of points and lines on shared encodings: what most figures of the book are made of."""

from dataclasses import dataclass, replace

import altair as alt
import pandas as pd

from . import axes, style


@dataclass(frozen=True)
class Axis:
    """A column on an axis; `percent` shows a fraction as per cent; `label` writes the marks of a logarithmic axis."""

    column: str
    title: str
    log: bool = True
    percent: bool = False
    label: str = axes.PLAIN

    @property
    def field(self) -> str:
        return f"{self.column}_pct" if self.percent else self.column

    def domain(self, *tables: pd.DataFrame) -> tuple[float, float]:
        factor, most = (100, axes.ALL) if self.percent else (1, float("inf"))
        return axes.domain(*(rows[self.column] * factor for rows in tables), most=most)


COMPUTE = Axis("compute", "total compute (GMAC)", label=axes.COMPUTE)
ERROR = Axis("error", "error (%)", percent=True)

# column: (title, format; None for text). What colour, shape and title say already is left to them.
TOOLTIPS = {
    "run": ("run", None),
    "model": ("model", None),
    "architecture": ("architecture", None),
    "samples_seen": ("samples seen", ",.0f"),
    "unique_samples": ("unique samples", ",.0f"),
    "compute_written": ("compute (GMAC)", None),
    "error": ("error", ".2%"),
    "value": ("score", ".2%"),
    "standard_error": ("standard error", ".2%"),
    "main_error": ("error on the main set", ".2%"),
    "gpus": ("GPUs", ",.0f"),
    "gpu_hours": ("GPU-hours", ",.0f"),
    "image_size": ("image size (px)", ".0f"),
    "stage": ("stage", None),
}
_TITLES = {
    "family": "pre-training distribution",
    "subset": "pre-training set",
    "intermediate": "fine-tuned in between on",
}


def told(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with their compute written out for the tooltip."""
    return rows.assign(compute_written=rows["compute"].map(axes.written)) if "compute" in rows else rows


def tooltips(columns: pd.Index) -> list[alt.Tooltip]:
    """Tooltips for the columns that are there; what names the run comes first, and names its architecture."""
    columns = columns.drop("architecture") if {"run", "architecture"} <= set(columns) else columns
    return [
        alt.Tooltip(name, title=title, **({"type": "quantitative", "format": form} if form else {"type": "nominal"}))
        for name, (title, form) in TOOLTIPS.items()
        if name in columns
    ]


def panels(
    points: pd.DataFrame,
    *,
    x: Axis = COMPUTE,
    y: Axis | dict[str, Axis] = ERROR,
    colour: str = "family",
    shape: str | None = "architecture",
    lines: pd.DataFrame | None = None,
    join: str | None = None,
    columns: int = 2,
    height: int = style.PANEL_HEIGHT,
    shared: bool = False,
) -> alt.ConcatChart:
    """One panel a value of `points.panel`, in order of appearance; `shared`: on the same axes; `y` may differ by panel.

    `lines`: panel, both axes' columns, and `colour` unless they belong to none; `low` and `high` draw a band.
    `join`: points of one value of this column are joined, in order of x.
    Points that a law leaves out (column `fitted`) are hollow.
    """
    paint = _Paint(
        colour,
        shape,
        style.colours(style.in_order(points[colour])),
        style.shapes(style.in_order(points[shape])) if shape else None,
        join,
        style.dashes(style.in_order(points[join])) if join else None,
    )
    made = []
    for name in dict.fromkeys(points["panel"]):
        own = points[points["panel"] == name]
        law = None if lines is None else lines[lines["panel"] == name]
        law = None if law is None or law.empty else law
        within = [points] if shared else [own] if law is None else [own, law]
        vertical = y[name] if isinstance(y, dict) else y
        made.append(
            _panel(own, law, x, vertical, paint, within).properties(title=name, width=style.PANEL_WIDTH, height=height)
        )
    return alt.concat(*made, columns=min(columns, len(made)))


@dataclass(frozen=True)
class _Paint:
    colour: str
    shape: str | None
    colours: alt.Scale
    shapes: alt.Scale | None
    join: str | None
    dashes: alt.Scale | None

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
                self.shape, type="nominal", scale=self.shapes, title=title_of(self.shape), legend=style.LEGEND
            ),
        }


def title_of(column: str) -> str:
    return _TITLES.get(column, column.replace("_", " "))


def _panel(
    points: pd.DataFrame, lines: pd.DataFrame | None, x: Axis, y: Axis, paint: _Paint, within: list[pd.DataFrame]
) -> alt.LayerChart:
    at = {"x": _channel(alt.X, x, within), "y": _channel(alt.Y, y, within)}
    data = told(_percent(points, x, y))
    layers = [] if lines is None else _law_layers(_percent(lines, x, y), at, y, paint)
    if paint.join:
        layers.append(_joined(data, at, paint))
    encodings = {**at, **paint.encodings, "tooltip": tooltips(data.columns)}
    if "fitted" in data:
        # Hollow, not pale: a pale point has no contrast to the page.
        title = title_of(paint.colour)  # the same as of the fill, so that both have one legend
        encodings["stroke"] = alt.Stroke(paint.colour, type="nominal", scale=paint.colours, title=title)
        encodings["fillOpacity"] = alt.condition("datum.fitted === 'left out'", alt.value(0), alt.value(0.9))
    layers.append(alt.Chart(data).mark_point(size=64, filled=True, opacity=0.9).encode(**encodings))
    return alt.layer(*layers)


def _joined(data: pd.DataFrame, at: dict, paint: _Paint) -> alt.Chart:
    """Lines through the points of one value; each value has its dash, so that one line does not hide another."""
    dash = alt.StrokeDash(paint.join, type="nominal", scale=paint.dashes, title=title_of(paint.join))
    return alt.Chart(data).mark_line(strokeWidth=1.4, opacity=0.8).encode(**at, color=paint.color, strokeDash=dash)


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
            .mark_area(opacity=0.25, clip=True)
            .encode(x=at["x"], y=alt.Y("low", type="quantitative"), y2="high:Q", color=color)
        )
    layers.append(alt.Chart(lines).mark_line(strokeWidth=1.6, strokeDash=[5, 3]).encode(**at, color=color))
    return layers


def _channel(channel: type, axis: Axis, within: list[pd.DataFrame]) -> alt.X | alt.Y:
    ends = axis.domain(*within)
    if axis.log:
        return axes.log_channel(channel, axis.field, axis.title, ends, label=axis.label)
    scale = alt.Scale(domain=list(ends), nice=False)
    return channel(axis.field, type="quantitative", title=axis.title, scale=scale, axis=alt.Axis(tickCount=5))


def error_against_compute(
    points: pd.DataFrame, lines: pd.DataFrame | None = None, *, error_title: str = "error (%)", **how: object
) -> alt.ConcatChart:
    """Error against compute on two logarithmic axes: the figure type of the paper's Figures 1, 2, 3 and 8."""
    return panels(points, y=replace(ERROR, title=error_title), lines=lines, **how)


def trade_off(rows: pd.DataFrame) -> alt.ConcatChart:
    """`rows`: architecture, compute, samples_seen, error, low, high, beyond (decades), best: predictions.

    One panel the error, one the samples that the budget buys; dots are the best architecture of each budget.
    """
    rows = rows[rows["error"] <= 1]  # above every answer wrong the law says nothing
    best = rows[rows["best"]]
    band = best.assign(low=best["low"] * 100, high=best["high"] * 100)
    errors = Axis("error", "predicted error (%)", percent=True)
    ends = axes.domain(100 * rows["error"], band["low"], band["high"], most=axes.ALL)
    x = _channel(alt.X, COMPUTE, [rows])
    area = alt.Chart(band).mark_area(color=style.INK, fillOpacity=0.25, stroke=style.INK, strokeWidth=1, clip=True)
    area = area.encode(x=x, y=alt.Y("low", type="quantitative"), y2="high:Q")
    samples = Axis("samples_seen", "samples seen", label=axes.COUNT)
    made = [
        alt.layer(area, *_budgets(rows, x, axes.log_channel(alt.Y, errors.field, errors.title, ends))),
        alt.layer(*_budgets(rows, x, _channel(alt.Y, samples, [rows]))),
    ]
    titles = ("what error to expect", "trained for how many samples")
    size = {"width": style.PANEL_WIDTH, "height": style.PANEL_HEIGHT}
    return alt.concat(*(chart.properties(title=title, **size) for chart, title in zip(made, titles, strict=True)))


def _budgets(rows: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    data = told(rows.assign(error_pct=100 * rows["error"]))
    paint = alt.Color("architecture:N", scale=style.colours(style.in_order(rows["architecture"])))
    tips = [*tooltips(data.columns), alt.Tooltip("beyond:Q", title="decades beyond the models", format=".1f")]
    base = alt.Chart(data).encode(x=x, y=y, color=paint, tooltip=tips)
    layers = [base.mark_line(strokeWidth=1.8), base.transform_filter("datum.best").mark_point(filled=True, size=40)]
    inside = rows.loc[rows["beyond"] == 0, "compute"]
    if len(inside):
        edge = alt.Chart(pd.DataFrame({"compute": [inside.max()]})).mark_rule(color=style.INK, strokeDash=[3, 3])
        layers.append(edge.encode(x=x))
    return layers

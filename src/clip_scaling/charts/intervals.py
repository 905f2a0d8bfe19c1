"""Estimates with their intervals, one row a law."""

import altair as alt
import pandas as pd

from ..core.wording import interval, named
from . import style

# A name in two lines leaves a narrow page room for its bar.
_NAMES = alt.Axis(labelExpr=r"split(datum.label, /, | (?=\()/)")


def exponents(laws: pd.DataFrame) -> alt.LayerChart:
    """`laws`: panel, family, alpha, alpha_low, alpha_high (NaN: no bar), n_points, interval_method.

    An arrow at the frame says that a bar goes on beyond it (see `beyond`).
    """
    paint = alt.Color("family:N", scale=style.colours(style.in_order(laws["family"])), title="distribution")
    base = alt.Chart(laws.assign(interval=laws["interval_method"].map(named))).encode(
        y=alt.Y("panel:N", title=None, sort=list(dict.fromkeys(laws["panel"])), axis=_NAMES),
        yOffset=alt.YOffset("family:N"),
        color=paint,
        tooltip=[
            alt.Tooltip("panel:N", title="evaluation set"),
            alt.Tooltip("family:N", title="distribution"),
            alt.Tooltip("alpha:Q", title="exponent", format=".3f"),
            alt.Tooltip("alpha_low:Q", title="low", format=".3f"),
            alt.Tooltip("alpha_high:Q", title="high", format=".3f"),
            alt.Tooltip("n_points:Q", title="models"),
            alt.Tooltip("interval:N"),
        ],
    )
    low, high = frame(laws)
    scale = alt.Scale(domain=[low, high], nice=False)
    x = alt.X("alpha_low:Q", title="exponent α", scale=scale, axis=alt.Axis(tickCount=6))
    bars = base.transform_filter("isValid(datum.alpha_low)").mark_rule(strokeWidth=2, clip=True)
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("alpha:Q", scale=scale))
    layers = [bars.encode(x=x, x2="alpha_high:Q"), dots]
    for column, side, end in (("alpha_low", "left", low), ("alpha_high", "right", high)):
        out = laws[column] < low if side == "left" else laws[column] > high
        if out.any():
            arrow = base.transform_filter(f"isValid(datum.{column}) && !inrange(datum.{column}, [{low}, {high}])")
            arrow = arrow.mark_point(shape=f"triangle-{side}", filled=True, size=70)
            layers.append(arrow.encode(x=alt.datum(end, scale=scale)))
    return alt.layer(*layers).properties(width=420, height=_steps(laws["family"], 18))


def _steps(families: pd.Series, least: int) -> alt.Step:
    """The height of one bar, such that a row has room for a name in two lines."""
    return alt.Step(max(least, 30 / families.nunique()))


def frame(laws: pd.DataFrame) -> tuple[float, float]:
    """Ends of an axis that shows all exponents and their bars; a bar is cut where it leaves twice the values' range."""
    values, low, high = laws["alpha"], laws["alpha_low"].min(), laws["alpha_high"].max()
    reach = 2 * max(values.max() - values.min(), 0.05)
    first, last = values.min(), values.max()
    ends = min(max(low, first - reach), first), max(min(high, last + reach), last)
    margin = 0.03 * (ends[1] - ends[0])
    return float(f"{ends[0] - margin:.3g}"), float(f"{ends[1] + margin:.3g}")


def beyond(laws: pd.DataFrame) -> str:
    """A sentence on the bars that the axis cuts; nothing where it cuts none."""
    low, high = frame(laws)
    cut = laws[(laws["alpha_low"] < low) | (laws["alpha_high"] > high)]
    if cut.empty:
        return ""
    said = "; ".join(
        f"{one.panel}, {one.family}: {interval(one.alpha_low, one.alpha_high, 2)}" for one in cut.itertuples()
    )
    return f" An arrow at the frame: the interval goes on ({said})."


def scores(rows: pd.DataFrame, columns: int = 2) -> alt.ConcatChart:
    """`rows`: cell, panel (evaluation set), family, score, low, high (fractions), run. A panel a cell, on one axis."""
    paint = alt.Color("family:N", scale=style.colours(style.in_order(rows["family"])), title="distribution")
    data = rows.assign(**{name: rows[name] * 100 for name in ("score", "low", "high")})
    most = float(f"{1.03 * data['high'].max():.3g}")
    x = alt.X("low:Q", title="score (%)", scale=alt.Scale(domain=[0, most], nice=False))
    made = []
    for cell in dict.fromkeys(rows["cell"]):
        base = alt.Chart(data[data["cell"] == cell]).encode(
            y=alt.Y("panel:N", title=None, sort=list(dict.fromkeys(rows["panel"])), axis=_NAMES),
            yOffset=alt.YOffset("family:N"),
            color=paint,
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("panel:N", title="evaluation set"),
                alt.Tooltip("score:Q", title="score (%)", format=".1f"),
            ],
        )
        bars = base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q")
        dots = base.mark_point(filled=True, size=50, opacity=1).encode(x="score:Q")
        size = {"width": style.PANEL_WIDTH, "height": _steps(rows["family"], 10)}
        made.append(alt.layer(bars, dots).properties(title=cell, **size))
    return alt.concat(*made, columns=min(columns, len(made)))


def accuracy(rows: pd.DataFrame) -> alt.Chart:
    """`rows`: form, where (fitted models or held-out), mae_pp, n: mean absolute error of each form of law."""
    return (
        alt.Chart(rows.assign(form=rows["form"].map(named)))
        .mark_bar()
        .encode(
            y=alt.Y("form:N", title=None, axis=_NAMES),
            yOffset="where:N",
            x=alt.X("mae_pp:Q", title="error (percentage points)", axis=alt.Axis(tickCount=6)),
            color=alt.Color("where:N", scale=style.colours(["fitted models", "held out"]), title="on"),
            tooltip=[
                alt.Tooltip("form:N"),
                alt.Tooltip("where:N", title="on"),
                alt.Tooltip("mae_pp:Q", format=".2f", title="pp"),
                alt.Tooltip("n:Q", title="sets"),
            ],
        )
        .properties(width=420, height=alt.Step(16))
    )

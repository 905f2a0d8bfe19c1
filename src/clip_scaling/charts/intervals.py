"""Estimates with their intervals, one row a law."""

import altair as alt
import pandas as pd

from . import style


def exponents(laws: pd.DataFrame) -> alt.LayerChart:
    """`laws`: panel, family, alpha, alpha_low, alpha_high (NaN: no bar), n_points, interval_method."""
    paint = alt.Color(
        "family:N", scale=style.colours(style.in_order(laws["family"])), title="distribution"
    )
    base = alt.Chart(laws).encode(
        y=alt.Y("panel:N", title=None, sort=list(dict.fromkeys(laws["panel"])), axis=alt.Axis(labelLimit=190)),
        yOffset=alt.YOffset("family:N"),
        color=paint,
        tooltip=[
            alt.Tooltip("panel:N", title="evaluation set"),
            alt.Tooltip("family:N", title="distribution"),
            alt.Tooltip("alpha:Q", title="exponent", format=".3f"),
            alt.Tooltip("alpha_low:Q", title="low", format=".3f"),
            alt.Tooltip("alpha_high:Q", title="high", format=".3f"),
            alt.Tooltip("n_points:Q", title="models"),
            alt.Tooltip("interval_method:N", title="interval"),
        ],
    )
    scale = alt.Scale(domain=_room(laws["alpha"], laws["alpha_low"], laws["alpha_high"]), nice=False)
    x = alt.X("alpha_low:Q", title="exponent α", scale=scale)
    bars = base.transform_filter("isValid(datum.alpha_low)").mark_rule(strokeWidth=2, clip=True)
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("alpha:Q", scale=scale))
    return alt.layer(bars.encode(x=x, x2="alpha_high:Q"), dots).properties(width=420, height=alt.Step(18))


def _room(values: pd.Series, low: pd.Series, high: pd.Series) -> list[float]:
    """Ends of an axis that shows all values and their bars; a bar is cut where it leaves twice the values' range."""
    reach = 2 * max(values.max() - values.min(), 0.05)
    ends = max(low.min(), values.min() - reach), min(high.max(), values.max() + reach)
    margin = 0.03 * (max(ends[1], values.max()) - min(ends[0], values.min()))
    return [float(f"{min(ends[0], values.min()) - margin:.3g}"), float(f"{max(ends[1], values.max()) + margin:.3g}")]


def scores(rows: pd.DataFrame, columns: int = 2) -> alt.ConcatChart:
    """`rows`: cell (a panel each), panel (evaluation set), family, score, low, high, run: fractions correct."""
    paint = alt.Color(
        "family:N", scale=style.colours(style.in_order(rows["family"])), title="distribution"
    )
    data = rows.assign(**{name: rows[name] * 100 for name in ("score", "low", "high")})
    x = alt.X("low:Q", title="score (%)", scale=alt.Scale(domainMin=0))
    made = []
    for cell in dict.fromkeys(rows["cell"]):
        base = alt.Chart(data[data["cell"] == cell]).encode(
            y=alt.Y("panel:N", title=None, sort=list(dict.fromkeys(rows["panel"])), axis=alt.Axis(labelLimit=190)),
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
        made.append(alt.layer(bars, dots).properties(title=cell, width=style.PANEL_WIDTH, height=alt.Step(10)))
    return alt.concat(*made, columns=min(columns, len(made)))


def accuracy(rows: pd.DataFrame) -> alt.Chart:
    """`rows`: form, where (fitted models or held-out), mae_pp, n: mean absolute error of each form of law."""
    return (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("form:N", title=None, axis=alt.Axis(labelLimit=200)),
            yOffset="where:N",
            x=alt.X("mae_pp:Q", title="error (pp)"),
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

"""Estimates with their intervals, one row a law."""

import altair as alt
import pandas as pd

from . import style


def exponents(laws: pd.DataFrame) -> alt.LayerChart:
    """`laws`: panel, family, alpha, alpha_low, alpha_high (NaN: no bar), n_points, interval_method."""
    paint = alt.Color(
        "family:N", scale=style.colours(style.in_order(laws["family"])), title="pre-training distribution"
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
    x = alt.X("alpha_low:Q", title="exponent α (more negative: error falls faster)", scale=alt.Scale(zero=False))
    bars = base.transform_filter("isValid(datum.alpha_low)").mark_rule(strokeWidth=2).encode(x=x, x2="alpha_high:Q")
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("alpha:Q"))
    return alt.layer(bars, dots).properties(width=420, height=alt.Step(18))


def accuracy(rows: pd.DataFrame) -> alt.Chart:
    """`rows`: form, where (fitted models or held-out), mae_pp, n: mean absolute error of each form of law."""
    return (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("form:N", title=None, axis=alt.Axis(labelLimit=200)),
            yOffset="where:N",
            x=alt.X("mae_pp:Q", title="mean absolute error (percentage points), median over evaluation sets"),
            color=alt.Color("where:N", scale=style.colours(["fitted models", "held-out largest compute"]), title="on"),
            tooltip=[
                alt.Tooltip("form:N"),
                alt.Tooltip("where:N", title="on"),
                alt.Tooltip("mae_pp:Q", format=".2f", title="pp"),
                alt.Tooltip("n:Q", title="sets"),
            ],
        )
        .properties(width=420, height=alt.Step(16))
    )

"""What fitted laws say: prediction against measurement, the worth of repeats."""

import altair as alt
import pandas as pd

from . import axes, style

_FEW = alt.Axis(tickCount=6)


def predicted_against_measured(rows: pd.DataFrame) -> alt.LayerChart:
    """`rows`: run, unique_samples, error, predicted, low, high (fractions). The diagonal is a perfect law."""
    data = rows.assign(measured_pct=rows["error"] * 100, predicted_pct=rows["predicted"] * 100, low_pct=rows["low"] * 100,
                       high_pct=rows["high"] * 100, unique=rows["unique_samples"].map(_short))
    ends = [float(data[["measured_pct", "low_pct"]].min().min()), float(data[["measured_pct", "high_pct"]].max().max())]
    x = alt.X("measured_pct:Q", title="measured error (%)", scale=alt.Scale(domain=ends, nice=False), axis=_FEW)
    y = alt.Y("predicted_pct:Q", title="error by the law (%)", scale=alt.Scale(domain=ends, nice=False), axis=_FEW)
    colour = alt.Color("unique:N", scale=style.colours(list(dict.fromkeys(data.sort_values("unique_samples")["unique"]))), title="unique samples")
    line = alt.Chart(pd.DataFrame({"measured_pct": ends, "predicted_pct": ends})).mark_line(color=style.INK, strokeDash=[4, 3])
    bars = alt.Chart(data).mark_rule(opacity=0.5).encode(x=x, y=alt.Y("low_pct:Q", title=""), y2="high_pct:Q", color=colour)
    dots = alt.Chart(data).mark_point(filled=True, size=64).encode(
        x=x, y=y, color=colour,
        tooltip=["run:N", alt.Tooltip("error:Q", format=".2%"), alt.Tooltip("predicted:Q", format=".2%")])
    return alt.layer(line.encode(x=x, y=y), bars, dots).properties(width=style.PANEL_WIDTH, height=style.PANEL_WIDTH)


def _short(count: float) -> str:
    """80M for 80,000,415."""
    size, letter = next((pair for pair in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if count >= pair[0]), (1, ""))
    return f"{count / size:.3g}{letter}"


def worth_of_repeats(rows: pd.DataFrame) -> alt.LayerChart:
    """`rows`: target, epochs, worth (epochs of fresh data). The straight line: every repeat worth a new sample."""
    names = list(dict.fromkeys(rows["target"]))
    x = axes.log_channel(alt.X, "epochs", "epochs seen", (rows["epochs"].min(), rows["epochs"].max()))
    y = axes.log_channel(alt.Y, "worth", "worth, in epochs of fresh data", axes.domain(rows["worth"]))
    fresh = pd.DataFrame({"epochs": [rows["epochs"].min(), rows["worth"].max()]}).assign(worth=lambda frame: frame["epochs"])
    line = alt.Chart(fresh).mark_line(color=style.INK, strokeWidth=1).encode(x=x, y=y)
    curves = alt.Chart(rows).mark_line(strokeWidth=2).encode(
        x=x, y=y, color=alt.Color("target:N", scale=style.colours(names), title="evaluation set"),
        strokeDash=alt.StrokeDash("target:N", scale=style.dashes(names), title="evaluation set"),
        tooltip=["target:N", alt.Tooltip("epochs:Q", format=".1f"), alt.Tooltip("worth:Q", format=".1f")])
    return alt.layer(line, curves).properties(width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)

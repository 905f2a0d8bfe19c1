"""A chart that fits while the reader chooses: filter, front and regression are Vega transforms."""

import altair as alt
import pandas as pd

from ..core.wording import measured
from . import axes, panels, style

METRICS = ("acc1", "mean_average_precision", "image_retrieval_recall@5", "text_retrieval_recall@5")
BINS, MARGIN = 5, 0.1  # the paper's front
_LINE = 18  # pixels between the laws in words
_KEEP = ["run", "family", "subset", "architecture", "samples_seen", "compute", "error"]


def playground(rows: pd.DataFrame, first: str) -> alt.LayerChart:
    """`rows`: run, family, subset, architecture, samples_seen, compute, error, dataset, metric.

    Both fits are least squares of log10 error on log10 compute, per family.
    """
    data = panels.told(rows[_KEEP]).assign(
        target=[measured(*pair) for pair in zip(rows["dataset"], rows["metric"], strict=True)],
        lc=_log10(rows["compute"]),
        le=_log10(rows["error"]),
        percent=rows["error"] * 100,
    )
    # The paper's probes and other sizes are no reader's first concern: every set in one list, the main one first.
    names = sorted(set(data["target"]), key=lambda name: (name != measured(first, "acc1"), name.lower()))
    families = style.in_order(data["family"])
    by_size = alt.selection_point(fields=["architecture"], bind="legend", name="architecture_choice", toggle="true")
    # The laws in words stand between legend and plot, where no point can lie.
    above = 16 + _LINE * len(families)
    legend = alt.Legend(offset=above)
    paint = alt.Color("family:N", scale=style.colours(families), title="pre-training distribution", legend=legend)
    chosen = alt.Chart(data).transform_filter(
        "datum.target == target_choice && (family_choice == 'all' || datum.family == family_choice)"
    )
    x = axes.log_channel(alt.X, "compute", "total compute (GMAC)", axes.domain(data["compute"]), label=axes.COMPUTE)
    y = _error()
    fitted = chosen.transform_filter(by_size)
    front = _front(fitted)
    ring = (
        front.transform_filter("fit_choice == 'binned front'")
        # An empty layer would be an image without a name; the dots inside the rings are read out anyway.
        .mark_point(size=170, filled=False, strokeWidth=1.6, aria=False)
        .encode(x="centre:Q", y="percent:Q", color=paint)
    )
    layers = [
        _line(front, "lb", "binned front", x, y, paint),
        _line(fitted, "lc", "all models", x, y, paint),
        _dots(chosen, data, x, y, paint, by_size, above),
        ring,
        _exponent(front, "lb", "binned front", families, paint),
        _exponent(fitted, "lc", "all models", families, paint),
    ]
    choices = _choices(_axes(data), names, families)
    return alt.layer(*layers).add_params(*choices).properties(width=620, height=380)


def _choices(ends: dict[str, dict], names: list[str], families: list[str]) -> list[alt.Parameter]:
    """What a reader chooses: evaluation set (and with it the axis of errors), distribution, and models fitted."""
    laws = alt.binding_radio(options=["all models", "binned front"], name="law through ")
    family = alt.binding_select(options=["all", *families], name="distribution ")
    return [
        alt.param(name="axis_of", value=ends),
        alt.param(name="target_choice", value=names[0], bind=alt.binding_select(options=names, name="evaluation set ")),
        alt.param(name="family_choice", value="all", bind=family),
        alt.param(name="fit_choice", value="all models", bind=laws),
    ]


def _error() -> alt.Y:
    """The axis of errors, as the chosen evaluation set needs it."""
    ends = [alt.ExprRef("axis_of[target_choice].low"), alt.ExprRef("axis_of[target_choice].high")]
    # The title keeps its place whatever the labels of the chosen set are.
    marks = alt.Axis(values=alt.ExprRef("axis_of[target_choice].ticks"), labelExpr=axes.PLAIN, minExtent=30)
    return alt.Y("percent:Q", scale=alt.Scale(type="log", nice=False, domain=ends), title="error (%)", axis=marks)


def _dots(
    chosen: alt.Chart, data: pd.DataFrame, x: alt.X, y: alt.Y, paint: alt.Color, by_size: alt.Parameter, above: int
) -> alt.Chart:
    """Every model of the chosen set, pale where its architecture is not among those picked in the legend."""
    shape = alt.Shape(
        "architecture:N",
        scale=style.shapes(style.in_order(data["architecture"])),
        legend=alt.Legend(**style.LEGEND.to_dict(), offset=above),
    )
    opacity = alt.condition(by_size, alt.value(0.9), alt.value(0.12))
    dots = chosen.mark_point(filled=True, size=64)
    return dots.encode(
        x=x, y=y, color=paint, tooltip=panels.tooltips(data.columns), opacity=opacity, shape=shape
    ).add_params(by_size)


def _axes(data: pd.DataFrame) -> dict[str, dict]:
    """Each evaluation set's axis of errors: low, high, ticks. Vega's own would begin anywhere, and lack labels."""
    made = {}
    for name, own in data.groupby("target"):
        low, high = axes.domain(own["percent"], most=axes.ALL)
        made[name] = {"low": low, "high": high, "ticks": axes.ticks(low, high)}
    return made


def _log10(values: pd.Series) -> pd.Series:
    import numpy as np

    return np.log10(values.astype(float))


def _front(chosen: alt.Chart) -> alt.Chart:
    """Keep the least error of each bin of log compute; `lb` is the bin's centre in log10, `centre` in GMAC."""
    return (
        chosen.transform_joinaggregate(low="min(lc)", high="max(lc)", groupby=["family"])
        .transform_calculate(width=f"(datum.high + {MARGIN} - datum.low) / {BINS}")
        .transform_calculate(bin=f"min({BINS} - 1, floor((datum.lc - datum.low) / datum.width))")
        .transform_joinaggregate(best="min(le)", groupby=["family", "bin"])
        .transform_filter("datum.le == datum.best")
        .transform_calculate(lb="datum.low + (datum.bin + 0.5) * datum.width")
        .transform_calculate(centre="pow(10, datum.lb)")
    )


def _line(chosen: alt.Chart, on: str, when: str, x: alt.X, y: alt.Y, paint: alt.Color) -> alt.Chart:
    return (
        chosen.transform_filter(f"fit_choice == '{when}'")
        .transform_regression(on, "le", groupby=["family"])
        .transform_calculate(compute=f"pow(10, datum.{on})", percent="100 * pow(10, datum.le)")
        .mark_line(strokeDash=[5, 3], strokeWidth=1.8, clip=True)
        .encode(x=x, y=y, color=paint)
    )


def _exponent(chosen: alt.Chart, on: str, when: str, families: list[str], paint: alt.Color) -> alt.Chart:
    """The fitted law in words, a line a family, above the plot."""
    line = f"-10 - {_LINE} * indexof({families[::-1]}, datum.family)"
    text = "datum.family + ': E = ' + format(pow(10, datum.coef[0]), '.3~g') + ' C^' + format(datum.coef[1], '.3f')"
    return (
        chosen.transform_filter(f"fit_choice == '{when}'")
        .transform_regression(on, "le", groupby=["family"], params=True)
        .transform_calculate(family="datum.keys[0]")  # the transform gives group values in `keys`
        .transform_calculate(text=text)
        .mark_text(align="left", fontSize=13, fontWeight=600, x=0, y=alt.ExprRef(line))
        .encode(text="text:N", color=paint)
    )

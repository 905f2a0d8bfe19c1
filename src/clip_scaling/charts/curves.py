"""Learning curves: one line a run, the reader picks which."""

from dataclasses import dataclass

import altair as alt
import pandas as pd

from . import axes, style
from .save import Figure, save_figure

POINTS = 40  # drawn a run: a page has to stay light


@dataclass(frozen=True)
class Measure:
    """What falls during training: the column, the axis's title, and a factor into the axis's unit."""

    column: str
    title: str
    what: str
    factor: float = 1.0
    tooltip: str = ".3f"

    def said(self, value: float) -> str:
        return f"{value * self.factor:.3g}" + (" %" if self.factor == 100 else "")


ERROR = Measure("error", "zero-shot error (%)", "Zero-shot error during training", 100, ".2%")
LOSS = Measure("loss", "contrastive loss", "Contrastive loss during training")


def thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """At most POINTS rows a run, evenly in order, first and last kept."""
    kept = []
    for _, own in rows.groupby("run", sort=True):
        count = min(POINTS, len(own))
        step = max(len(own) - 1, 1) / (count - 1 or 1)
        kept.append(own.iloc[sorted({round(i * step) for i in range(count)})])
    return pd.concat(kept, ignore_index=True)


def learning_curves(rows: pd.DataFrame, measure: Measure = ERROR) -> alt.LayerChart:
    """`rows`: run, architecture, subset, label (budget), samples_seen and the measure's column.

    Click a legend entry to single out an architecture.
    """
    by_size = alt.selection_point(fields=["architecture"], bind="legend", name="architecture_choice")
    subset = _choice("subset_choice", "pre-training set ", style.in_order(rows["subset"]))
    labels = sorted(rows["label"].dropna().unique(), key=lambda text: (len(text), text))
    label = _choice("budget_choice", "budget ", labels)
    shown = rows[measure.column] * measure.factor
    ends = axes.domain(shown, most=axes.ALL if measure.factor == 100 else float("inf"))
    base = (
        alt.Chart(rows.assign(shown=shown))
        .transform_filter(
            "(subset_choice == 'all' || datum.subset == subset_choice) && "
            "(budget_choice == 'all' || datum.label == budget_choice)"
        )
        .encode(
            x=axes.log_channel(
                alt.X, "samples_seen", "samples seen", axes.domain(rows["samples_seen"]), label=axes.COUNT
            ),
            y=axes.log_channel(alt.Y, "shown", measure.title, ends),
            color=alt.Color("architecture:N", scale=style.colours(style.in_order(rows["architecture"]))),
            opacity=alt.condition(by_size, alt.value(0.9), alt.value(0.08)),
            detail="run:N",
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("samples_seen:Q", format=",.0f", title="samples seen"),
                alt.Tooltip(f"{measure.column}:Q", format=measure.tooltip),
            ],
        )
    )
    lines, dots = base.mark_line(strokeWidth=1.3), base.mark_point(filled=True, size=14)
    return alt.layer(lines, dots).add_params(by_size, subset, label).properties(width=620, height=380)


def _choice(name: str, title: str, options: list[str]) -> alt.Parameter:
    return alt.param(name=name, value="all", bind=alt.binding_select(options=["all", *options], name=title))


def saved(
    rows: pd.DataFrame, study: str, source: str, *, notebook: str = "learning_curves", measure: Measure = ERROR
) -> Figure:
    """Draw and save the learning curves of a study."""
    values = rows[measure.column]
    return save_figure(
        learning_curves(rows, measure),
        "learning_curves",
        study,
        rows=rows,
        notebook=notebook,
        caption=f"{measure.what} of {rows['run'].nunique()} runs. Choose a pre-training set and a budget below the "
        f"chart; click an architecture in the legend to single it out. No fit. {source}",
        alt_text=f"{measure.what}: from {measure.said(values.max())} down to {measure.said(values.min())} over the runs.",
    )

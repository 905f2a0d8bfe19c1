"""Learning curves: one line a run, the reader picks which."""

import altair as alt
import pandas as pd

from . import style
from .save import Figure, save_figure


def learning_curves(rows: pd.DataFrame) -> alt.LayerChart:
    """`rows`: run, architecture, subset, label (budget), samples_seen, error. Click a legend entry to single out."""
    by_size = alt.selection_point(fields=["architecture"], bind="legend", name="architecture_choice")
    subset = alt.param(
        name="subset_choice",
        value="all",
        bind=alt.binding_select(options=["all", *style.in_order(rows["subset"])], name="pre-training set "),
    )
    label = alt.param(
        name="budget_choice",
        value="all",
        bind=alt.binding_select(
            options=["all", *sorted(rows["label"].dropna().unique(), key=lambda text: (len(text), text))],
            name="budget ",
        ),
    )
    base = (
        alt.Chart(rows.assign(percent=rows["error"] * 100))
        .transform_filter(
            "(subset_choice == 'all' || datum.subset == subset_choice) && "
            "(budget_choice == 'all' || datum.label == budget_choice)"
        )
        .encode(
            x=alt.X(
                "samples_seen:Q",
                scale=alt.Scale(type="log", nice=False),
                title="samples seen",
                axis=alt.Axis(format="~s", tickCount=5),
            ),
            y=alt.Y(
                "percent:Q",
                scale=alt.Scale(type="log", nice=False, domain=_domain(rows)),
                title="zero-shot error (%)",
                axis=alt.Axis(values=[15, 20, 30, 40, 50, 60, 80, 100]),
            ),
            color=alt.Color("architecture:N", scale=style.colours(style.in_order(rows["architecture"]))),
            opacity=alt.condition(by_size, alt.value(0.9), alt.value(0.08)),
            detail="run:N",
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("samples_seen:Q", format=",.0f", title="samples seen"),
                alt.Tooltip("error:Q", format=".2%", title="error"),
            ],
        )
    )
    lines, dots = base.mark_line(strokeWidth=1.3), base.mark_point(filled=True, size=14)
    return alt.layer(lines, dots).add_params(by_size, subset, label).properties(width=620, height=380)


def _domain(rows: pd.DataFrame) -> list[float]:
    return [float(f"{rows['error'].min() * 96:.3g}"), float(f"{min(rows['error'].max() * 104, 100):.3g}")]


def saved(rows: pd.DataFrame, study: str, source: str, notebook: str = "learning_curves") -> Figure:
    """Draw and save the learning curves of a study."""
    what = "Zero-shot error during training"
    return save_figure(
        learning_curves(rows),
        "learning_curves",
        study,
        rows=rows,
        notebook=notebook,
        caption=f"{what} of {rows['run'].nunique()} runs. Choose a pre-training set and a budget below the chart; "
        f"click an "
        f"architecture in the legend to single it out. No fit. {source}",
        alt_text=f"{what}: error falls from {rows['error'].max():.0%} to {rows['error'].min():.0%} over the runs.",
    )

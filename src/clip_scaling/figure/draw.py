"""Figures that any study has: read its tables, draw, save. A notebook calls one of these and nothing else."""

import pandas as pd

from ..charts import axes, panels, save
from ..charts.html_table import HtmlTable, table
from ..core.wording import named
from . import fitted, targets
from .caption import caption, rows_of, trend
from .tables import StudyTables, load, optional


def zero_shot(study: str) -> save.Figure:
    """Zero-shot classification error against compute (paper, Figure 1a)."""
    tables = load(study)
    return _scaling(
        tables,
        targets.classification(tables),
        "zero_shot",
        "zero-shot error (%)",
        "Zero-shot classification error against total compute",
    )


def retrieval(study: str) -> save.Figure:
    """Retrieval, 1 - Recall@5, against compute (paper, Figure 1b for images)."""
    tables = load(study)
    return _scaling(
        tables, targets.retrieval(tables), "retrieval", "100 − Recall@5 (%)", "Retrieval error against total compute"
    )


def linear_probe(study: str) -> save.Figure:
    """Linear probing: a linear classifier on frozen features (paper, Figures 2 and 3)."""
    tables = load(study)
    return _scaling(
        tables,
        targets.probes(tables),
        "linear_probe",
        "linear probe error (%)",
        "Error of a linear classifier on frozen features, its settings chosen on a validation split",
    )


def probe_optimism(study: str) -> HtmlTable:
    """What choosing the probe's settings on the test set, as the paper does, adds to its accuracy."""
    tables = load(study)
    rows = tables.errors[tables.errors["metric"].isin(("acc1", "acc1_selected_on_test"))]
    rows = rows[rows["task"].isin(targets.PROBES) & (rows["split"] == "test")]
    wide = rows.pivot_table(index=["dataset", "task", "run"], columns="metric", values="value")
    gain = 100 * (wide["acc1_selected_on_test"] - wide["acc1"]).rename("gain")
    made = gain.groupby(level=["dataset", "task"]).agg(["mean", "max", "count"]).reset_index()
    made["task"] = made["task"].map(targets.PROBES)
    return table(
        made.round({"mean": 2, "max": 2}),
        f"Accuracy gained by choosing learning rate and epochs on the test set itself, in percentage points: "
        f"{gain.mean():.2f} on average over {len(gain)} probes.",
        titles={"dataset": "evaluation set", "task": "training images", "max": "largest", "count": "models"},
    )


def _scaling(tables: StudyTables, chosen: list[fitted.Target], name: str, axis: str, what: str) -> save.Figure:
    points = targets.points_of(tables, chosen)
    if tables.published:
        from ..published.frames import lines as paper_lines

        lines = paper_lines(points)
        laws, fits = fitted.as_printed(lines), "Dashed: the paper's fits, listed below with 95 % t-intervals."
    else:
        laws = fitted.power_laws(tables.laws, chosen)
        lines, fits = fitted.lines(laws, points), fitted.summary(laws)
    chart = panels.error_against_compute(points, lines, error_title=axis)
    return save.save_figure(
        chart,
        name,
        tables.study,
        rows=rows_of(points),
        notebook=name,
        laws=fitted.law_table(laws),
        caption=caption(tables, f"{what},", points, fits),
        alt_text=f"{what}, {points['run'].nunique()} models: {trend(points)}",
    )


def bottleneck(study: str) -> save.Figure:
    """Error against samples seen, by the number of distinct samples behind them (paper, Section 4.1)."""
    tables = load(study)
    chosen = targets.classification(tables)[:1]
    points = targets.points_of(tables, chosen)
    points = points[points["family"] == _main_family(points)]
    points = points.assign(panel=points["architecture"]).drop(columns="fitted")  # no law, so none is left out of it
    # Repeats of a cell with other seeds are points of their own, but their line goes through the first seed.
    x = panels.Axis("samples_seen", "samples seen", label=axes.COUNT)
    what = f"Zero-shot error on {chosen[0].title} against samples seen, one panel an architecture, a colour a subset,"
    chart = panels.panels(
        _by_size(points), x=x, colour="subset", shape=None, join="subset", columns=3, height=220, shared=True
    )
    return save.save_figure(
        chart,
        "bottleneck",
        study,
        rows=rows_of(points),
        notebook="bottleneck",
        caption=caption(tables, what, points, "Lines join the models of one subset; no law is drawn."),
        alt_text=f"{what}: " + _by_subset(points),
    )


def _main_family(points: pd.DataFrame) -> str:
    return points.groupby("family")["run"].nunique().idxmax()


def _by_size(points: pd.DataFrame) -> pd.DataFrame:
    from ..charts.style import in_order

    order = {name: place for place, name in enumerate(in_order(points["architecture"]))}
    return points.sort_values(
        ["architecture", "subset", "samples_seen"],
        key=lambda column: column.map(order) if column.name == "architecture" else column,
    )


def _by_subset(points: pd.DataFrame) -> str:
    best = points.groupby("subset")["error"].min().sort_values()
    return "; ".join(f"least error with {name} {error:.0%}" for name, error in best.items()) + "."


def robustness(study: str) -> save.Figure:
    """Error on each distribution shift against error on the main set: effective robustness."""
    tables = load(study)
    main = targets.main_set(tables)
    rows = tables.of("zeroshot_classification", "acc1")
    base = rows[rows["dataset"] == main].set_index("run")["error"].rename("main_error")
    moved = rows[rows["dataset"].isin(targets.shifts(tables))].join(base, on="run", how="inner")
    moved = moved.assign(panel=moved["dataset"].map(named)).drop(columns="fitted").sort_values(["panel", "compute"])
    line = _diagonal(moved)
    what = f"Zero-shot error under distribution shift against error on {named(main)},"
    chart = panels.panels(
        moved,
        x=panels.Axis("main_error", f"error on {named(main)} (%)", log=False, percent=True),
        lines=line,
        columns=3,
        height=220,
        y=panels.Axis("error", "error on the shift (%)", log=False, percent=True),
        shared=True,
    )
    return save.save_figure(
        chart,
        "robustness",
        study,
        rows=rows_of(moved, "main_error"),
        notebook="robustness",
        caption=caption(
            tables,
            what,
            moved,
            "The dashed line is equal error on both: a model above it loses under the shift." + _easier(moved, tables),
        ),
        alt_text=f"{what} "
        + "; ".join(
            f"{name}: {group['error'].mean() - group['main_error'].mean():+.1%} on average"
            for name, group in moved.groupby("panel")
        )
        + ".",
    )


def _easier(moved: pd.DataFrame, tables: StudyTables) -> str:
    """A sentence on shifts that no model loses under, with the number of classes that may be why."""
    main = targets.main_set(tables)
    classes = tables.scores.dropna(subset=["n_classes"]).groupby("dataset")["n_classes"].first()
    said = ""
    for name, own in moved.groupby("dataset"):
        if (own["error"] < own["main_error"]).all():
            fewer = classes[name] < classes[main]
            said += f" Every model errs less on {named(name)} than on {named(main)}"
            said += f": it has {classes[name]:.0f} of the {classes[main]:,.0f} classes." if fewer else "."
    return said


def _diagonal(rows: pd.DataFrame) -> pd.DataFrame:
    ends = [max(rows["main_error"].min(), rows["error"].min()), min(rows["main_error"].max(), rows["error"].max())]
    return pd.DataFrame(
        [{"panel": panel, "main_error": end, "error": end} for panel in dict.fromkeys(rows["panel"]) for end in ends]
    )


STAGES = {
    "joint_zeroshot": "zero-shot",
    "joint_fine_tuning": "fine-tuned",
    "joint_patched": "patched",
    "fine_tuning_zeroshot": "zero-shot",
    "fine_tuning": "fine-tuned end to end",
}


def fine_tuning(study: str) -> save.Figure:
    """Error before and after fine-tuning, and after patching, against compute (paper, Figures 4, 5, 9 to 11)."""
    tables = load(study)
    rows = tables.errors[tables.errors["task"].isin(STAGES) & (tables.errors["metric"] == "acc1")]
    rows = rows.assign(panel=rows["dataset"].map(named), stage=rows["task"].map(STAGES)).drop(columns="fitted")
    rows = rows.drop_duplicates(["run", "panel", "stage"]).sort_values(["panel", "stage", "compute"])
    what = "Error zero-shot, after fine-tuning, and after patching, against compute of pre-training,"
    chart = panels.panels(rows, colour="stage", shape="architecture", join="stage", columns=3, height=220)
    return save.save_figure(
        chart,
        "fine_tuning",
        study,
        rows=rows_of(rows, "stage"),
        notebook="fine_tuning",
        caption=caption(tables, what, rows, "Lines join one stage; no law is drawn."),
        alt_text=f"{what} by task.",
    )


def playground(study: str) -> save.Figure:
    """A chart in which the reader chooses, and the law is fitted anew in the browser."""
    from ..charts import playground as chart

    tables = load(study)
    rows = tables.errors[
        tables.errors["metric"].isin(chart.METRICS)
        & (tables.errors["split"] == "test")
        & tables.errors["task"].isin(("zeroshot_classification", "retrieval"))
    ]
    rows = rows[(rows["error"] > 0) & rows["compute"].notna()]
    first = targets.main_set(tables)
    return save.save_figure(
        chart.playground(rows, first),
        "playground",
        study,
        rows=rows_of(rows.assign(panel=rows["dataset"]), "metric"),
        notebook="playground",
        alt_text="Error against compute with a law that follows the reader's choices.",
        caption=f"Choose the evaluation set, the distribution, and whether the law goes through all models or "
        f"through the "
        f"paper's binned front (the least error in each of five equal bins of log compute); click architectures in "
        f"the legend to keep only these (shift-click for several). The law is least squares in log error, fitted in "
        f"your browser. {rows['run'].nunique()} models, {rows['dataset'].nunique()} sets; stages evaluate and "
        f"collect, tables results/{study}/runs.csv and scores.csv.",
    )


def side_by_side(study: str) -> save.Figure:
    """The published study and this one on shared axes: same form of law, seven decades of compute apart."""
    both = [load("published"), load(study)]
    parts, lines, said = [], [], []
    for kind, choose in (("zero-shot classification", targets.classification), ("image retrieval", targets.retrieval)):
        for tables in both:
            first = choose(tables)[0]
            points = targets.points_of(tables, [first]).assign(panel=kind)
            points = points[points["family"] == _main_family(points)]
            law = fitted.power_laws(tables.laws, [first], tables.power_form)
            law = law[law["family"].isin(points["family"])].assign(panel=kind)
            parts.append(points)
            lines.append(fitted.lines(law, points).assign(study=tables.study))
            said.append(law.assign(panel=f"{tables.study}: {first.title}"))
    points, line = pd.concat(parts, ignore_index=True), pd.concat(lines, ignore_index=True)
    what = f"Error against compute of the published study and of the {study} study on shared axes,"
    chart = panels.panels(points, colour="study", shape=None, lines=line if len(line) else None)
    return save.save_figure(
        chart,
        "side_by_side",
        study,
        rows=rows_of(points, "study", "dataset"),
        notebook="side_by_side",
        laws=fitted.law_table(pd.concat(said)),
        alt_text=f"{what} {trend(points)}",
        caption=f"{what} {points['run'].nunique()} models of the largest family of each. The tasks differ, so heights "
        f"do not "
        f"compare; slopes do. Laws are listed below. Stages fit of both; tables results/published/ "
        f"and results/{study}/.",
    )


def learning_curves(study: str) -> save.Figure:
    """Training loss against samples seen (results/<study>/learning_curves.csv)."""
    from ..charts import curves

    rows = optional(study, "learning_curves.csv")
    rows = rows.merge(load(study).runs[["run", "architecture", "subset", "samples_seen"]].rename(
        columns={"samples_seen": "budget"}), on="run")
    rows = rows.assign(label=rows["budget"].map("{:,} samples".format)).drop(columns="budget")
    what = "Each point is the mean over a stretch of training. Stages train and collect; table learning_curves.csv."
    return curves.saved(curves.thinned(rows), study, what, measure=curves.LOSS)

"""Figures that only the published study has: each draws a figure of the paper from data/published."""

import pandas as pd

from ..charts import axes, curves, panels, save
from . import fitted
from .caption import rows_of, trend

STUDY = "published"
SOURCE = "Stage published; tables data/published and results/published/runs.csv, scores.csv."


def _published():
    from ..published.data import Published

    return Published()  # reads the tables that a figure asks for; stage `published` checked them all


def _save(
    chart,
    name: str,
    notebook: str,
    points: pd.DataFrame,
    caption: str,
    alt_text: str,
    *more: str,
    laws: pd.DataFrame | None = None,
) -> save.Figure:
    return save.save_figure(
        chart,
        name,
        STUDY,
        rows=rows_of(points, *more),
        notebook=notebook,
        alt_text=alt_text,
        caption=f"{caption} {SOURCE}",
        laws=None if laws is None else fitted.law_table(laws),
    )


def linear_probe_sets() -> save.Figure:
    """Figure 2: linear probing on ImageNet and CIFAR-100 at 10 and 25 images a class and on the full set."""
    from ..published import frames

    points = frames.figure_2(_published())
    return _probe(points, "linear_probe_sets", "Figure 2. Error of a linear classifier on frozen features,", 3)


def linear_probe_vtab() -> save.Figure:
    """Figure 3: linear probing, mean of VTAB's 19 tasks."""
    from ..published import frames

    points = frames.figure_3(_published())
    return _probe(points, "linear_probe_vtab", "Figure 3. Error of a linear classifier on frozen features,", 1)


def _probe(points: pd.DataFrame, name: str, what: str, columns: int) -> save.Figure:
    from ..published import frames

    lines = frames.lines(points)
    chart = panels.error_against_compute(
        points, lines, error_title="linear probe error (%)", columns=columns, height=230
    )
    caption = (
        f"{what} {points['run'].nunique()} models; the best of nine settings on the test set, as the paper selects. "
        f"Dashed: "
        f"least squares in log error through all models, listed below with 95 % t-intervals."
    )
    return _save(
        chart, name, "linear_probe_paper", points, caption, f"{what} {trend(points)}", laws=fitted.as_printed(lines)
    )


def imagenet_fine_tuning() -> save.Figure:
    """Figure 4: error after fine-tuning on ImageNet, and its robustness sets."""
    from ..published import frames

    points = frames.figure_4(_published()).dropna(subset=["error", "compute"])
    points = points.assign(intermediate=points["intermediate"].fillna("").replace("", "none"))
    chart = panels.panels(points, colour="subset", shape="intermediate")
    what = "Figure 4. Error after fine-tuning on ImageNet, against compute of pre-training,"
    caption = (
        f"{what} {points['model'].nunique()} models; Table 9 where it prints a number, else timm's own results. "
        f"The shape "
        f"says which set came between. The mean lacks ObjectNet, which has no public number. No fit."
    )
    return _save(
        chart,
        "imagenet_fine_tuning",
        "imagenet_fine_tuning",
        points,
        caption,
        f"{what} {trend(points)}",
        "model",
        "image_size",
        "intermediate",
        "printed",
        "timm",
    )


def joint_fine_tuning() -> save.Figure:
    """Figure 5: mean error of 8 tasks, zero-shot, after joint fine-tuning, and patched."""
    from ..published import frames

    points = frames.figure_5(_published())
    points = points.assign(panel=points["stage"]).sort_values(
        "panel", key=lambda stages: stages.map(list(frames.STAGES.values()).index), kind="stable"
    )
    what = "Figure 5. Mean error over 8 tasks, zero-shot, fine-tuned on all jointly, and patched,"
    chart = panels.panels(points, colour="family", columns=3, height=240)
    caption = f"{what} {points['run'].nunique()} models, against compute of pre-training. No fit; Tables 6, 7 and 8."
    return _save(chart, "joint_fine_tuning", "joint_fine_tuning", points, caption, f"{what} {trend(points)}", "stage")


def per_task(number: int) -> save.Figure:
    """Figures 9 (zero-shot), 10 (fine-tuned) and 11 (patched): accuracy task by task."""
    from ..published import frames

    stage = {9: "zero-shot", 10: "after joint fine-tuning", 11: "after patching"}[number]
    points = getattr(frames, f"figure_{number}")(_published())
    what = f"Figure {number}. Accuracy {stage}, task by task,"
    score = panels.Axis("value", "accuracy (%)", log=False, percent=True)
    chart = panels.panels(points.drop(columns="error"), y=score, columns=3, height=190)
    caption = f"{what} {points['run'].nunique()} models, against compute of pre-training. No fit; Table {number - 3}."
    best = points.loc[points.groupby("panel", sort=False)["value"].idxmax()]
    said = "; ".join(f"{row.panel}: at best {row.value:.1%}" for row in best.itertuples())
    return _save(chart, f"per_task_{number}", "joint_fine_tuning", points, caption, f"{what} {said}.", "value", "stage")


# panel: its axis
THROUGHPUT = {
    "throughput per GPU": panels.Axis("samples_per_second_per_gpu", "image-text pairs per second"),
    "GPU-hours of the run": panels.Axis("gpu_hours", "GPU-hours", label=axes.COUNT),
    "energy of the run": panels.Axis("energy_mwh", "MWh"),
}


def throughput() -> save.Figure:
    """What stands for Figure 6: throughput, GPU-hours and energy of the released runs."""
    from ..published import frames

    rows = frames.throughput(_published())
    chart = panels.panels(
        pd.concat([rows.assign(panel=panel) for panel in THROUGHPUT], ignore_index=True),
        x=panels.Axis("gpus", "GPUs (A100)"),
        y=THROUGHPUT,
        colour="architecture",
        shape="subset",
    )
    total, energy = rows["gpu_hours"].sum(), rows["energy_mwh"].sum()
    what = "In place of Figure 6: throughput, GPU-hours and energy of the released runs, against the number of GPUs,"
    caption = (
        f"{what} {len(rows)} runs; together {total:,.0f} GPU-hours and {energy:.2f} MWh at {frames.WATTS_PER_GPU:.0f} W per "
        f"GPU. The paper's "
        f"Figure 6 "
        f"(one model on 1 to 1,024 GPUs) has no public data; batch sizes and GPU counts differ from run to run here."
    )
    return _save(
        chart,
        "throughput",
        "throughput",
        rows,
        caption,
        f"{what} {len(rows)} runs.",
        "gpus",
        "batch_size",
        "samples_per_second",
        "samples_per_second_per_gpu",
        "gmacs_per_second_per_gpu",
        "gpu_hours",
        "energy_mwh",
    )


def extrapolation() -> save.Figure:
    """Figures 8a and 8b: the law carried on to models and budgets that were not trained; later models beside it."""
    from ..published import frames

    published = _published()
    sets = [frames.figure_8a(published), frames.figure_8b(published)]
    lines = pd.concat([frames.extrapolation_line(rows) for rows in sets], ignore_index=True)
    points = pd.concat([*sets, _later(published)], ignore_index=True)
    what = "Figure 8. The law carried on to larger models and budgets,"
    chart = panels.panels(points, colour="kind", shape="architecture", lines=lines.drop(columns="family"))
    trained = points[points["kind"] == "model"]["run"].nunique()
    caption = (
        f"{what} dashed, fitted to {trained} models (LAION). Predictions are Table 4's. Trained later, after "
        f"the paper, and evaluated by another suite: {', '.join(_later(published)['architecture'].unique())}."
    )
    return _save(
        chart,
        "extrapolation",
        "extrapolation",
        points,
        caption,
        f"{what} {trend(points)}",
        "kind",
        laws=fitted.as_printed(lines),
    )


def _later(published) -> pd.DataFrame:
    """Later models as rows of figures 8a and 8b."""
    rows = published.later_models
    about = rows.assign(
        compute=rows["gmacs_per_sample"] * rows["samples_seen"].astype(float),
        kind="trained later",
        family="LAION",
        run=rows["architecture"] + "_" + rows["subset"] + "_" + rows["samples_seen_label"],
    )
    columns = {"ImageNet": "imagenet1k_acc1", "MS-COCO image retrieval": "mscoco_image_recall5"}
    keep = ["run", "architecture", "subset", "samples_seen", "compute", "kind", "family"]
    return pd.concat(
        [
            about[keep].assign(panel=panel, value=about[column], error=1 - about[column])
            for panel, column in columns.items()
        ],
        ignore_index=True,
    )


def openai_resnets() -> save.Figure:
    """Figure 12: OpenAI's ResNets beside its vision transformers."""
    from ..published import frames

    points = frames.figure_12(_published()).assign(run=lambda rows: rows["architecture"])
    what = "Figure 12. OpenAI's ResNets and vision transformers, all trained on WIT,"
    caption = f"{what} {points['run'].nunique()} models, as another evaluation suite measured them. No fit."
    chart = panels.panels(points, colour="kind", shape=None, join="kind")
    return _save(chart, "openai_resnets", "openai_resnets", points, caption, f"{what} {trend(points)}", "kind")


def learning_curves() -> save.Figure:
    """ImageNet zero-shot error of every run during training."""
    from ..published import frames

    rows = frames.learning_curves(_published())
    rows = rows.assign(error=1 - rows["acc1"])[
        ["run", "architecture", "subset", "label", "epoch", "samples_seen", "error"]
    ]
    rows = rows[rows["samples_seen"] > 0]
    return curves.saved(
        curves.thinned(rows),
        STUDY,
        f"Released top-1 accuracy on ImageNet, {len(rows):,} epochs, at most {curves.POINTS} drawn a run."
        f"{_fall(rows)} {SOURCE}",
        notebook="learning_curves_paper",
    )


def _fall(rows: pd.DataFrame) -> str:
    """A sentence on the run whose error rises most from one epoch to the next, and what comes after."""
    rows = rows.sort_values(["run", "epoch"])
    by_run = rows.groupby("run")["error"]
    rows = rows.assign(rise=by_run.diff(), then=by_run.shift(-1))
    worst = rows.loc[rows["rise"].idxmax()]
    errors = worst["error"] - worst["rise"], worst["error"], worst["then"]
    before, at, after = (f"{100 * error:.1f} %" for error in errors)
    return (
        f" The spike is in the released results: in epoch {worst['epoch']:.0f} of {worst['run']} the error rises from "
        f"{before} to {at}, and is {after} one epoch later."
    )

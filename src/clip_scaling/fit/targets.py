"""What of a study is fitted: points of each family and evaluation set, and every row left out with its reason."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core import paths
from ..core.errors import UserError
from ..core.schema import RUNS, SCORES, errors_frame, read_table
from .outcome import Points, Reason

KEY = ["family", "task", "dataset", "metric"]
# The paper fits one metric a set: accuracy, mean average precision for many labels, Recall@5.
_PUBLISHED_METRICS = (
    "acc1", "acc1_selected_on_test", "mean_average_precision", "image_retrieval_recall@5", "text_retrieval_recall@5",
)


@dataclass(frozen=True)
class Rules:
    """When rows are fitted. Below `chance_factor` times chance, error against compute takes off, it follows no law.

    For sets of few classes that threshold is capped half-way between chance and a perfect score. Below `min_points`
    models or `min_decades` of compute there is no exponent.
    """

    min_points: int = 6
    min_decades: float = 1.0
    chance_factor: float | None = 10.0


OWN = Rules()
# The paper's 3 CLIP-WIT models have an exponent, with Student's interval; its models are no longer near the take-off.
PUBLISHED = Rules(min_points=3, chance_factor=None)


@dataclass(frozen=True)
class Target:
    """Models of one family on one evaluation set and metric."""

    family: str
    task: str
    dataset: str
    metric: str
    points: Points
    left_out: tuple[tuple[str, Reason], ...]
    enough: bool

    @property
    def key(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in KEY}


def read_errors(study: str) -> pd.DataFrame:
    """runs and scores of results/<study>/, joined (core.schema.errors_frame). Raises UserError."""
    folder = paths.results(study)
    return errors_frame(read_table(folder / "runs.csv", RUNS), read_table(folder / "scores.csv", SCORES))


def targets_of(errors: pd.DataFrame, rules: Rules, wanted: list | None = None, published: bool = False) -> list[Target]:
    """One Target per family, task, dataset and metric. `wanted`: entries with task, dataset, metric and split; none: all.

    Raises UserError where a wanted target has no scores.
    """
    if wanted:
        chosen = pd.concat([_wanted(errors, entry) for entry in wanted])
    else:
        chosen = errors[errors["split"] == "test"]
        if published:
            chosen = chosen[chosen["metric"].isin(_PUBLISHED_METRICS)]
    if chosen.empty:
        raise UserError("no scores of split `test` to fit", mend="run `clip-scaling evaluate` and `collect` first")
    return [_target(dict(zip(KEY, key)), rows, rules) for key, rows in chosen.groupby(KEY, sort=True)]


def _wanted(errors: pd.DataFrame, entry) -> pd.DataFrame:
    names = ("task", "dataset", "metric", "split")
    mask = np.logical_and.reduce([errors[name] == getattr(entry, name) for name in names])
    if not mask.any():
        said = ", ".join(f"{name} {getattr(entry, name)}" for name in names)
        raise UserError(f"fit.targets names {said}, of which there are no scores", mend="mend the study file's fit.targets")
    return errors[mask]


def _target(key: dict[str, str], rows: pd.DataFrame, rules: Rules) -> Target:
    # Repeated evaluations of a run (other seeds of the evaluation) are one model.
    merged = rows.groupby("run", sort=True).agg(
        {name: "first" for name in ("status", "compute", "gmacs_per_sample", "samples_seen", "unique_samples", "chance")}
        | {"error": "mean", "n_items": "first"}
    ).reset_index()
    reasons = [_reason(row, rules) for row in merged.to_dict("records")]
    kept = merged[[reason is None for reason in reasons]]
    points = _points(kept)
    left_out = tuple((run, reason) for run, reason in zip(merged["run"], reasons) if reason is not None)
    enough = len(points) >= rules.min_points and points.decades >= rules.min_decades
    return Target(**key, points=points, left_out=left_out, enough=enough)


def _points(rows: pd.DataFrame) -> Points:
    numbers = {name: rows[name].astype(float).to_numpy() for name in
               ("compute", "error", "gmacs_per_sample", "samples_seen", "unique_samples", "n_items")}
    unique, items = (values if len(values) and np.isfinite(values).all() else None
                     for values in (numbers["unique_samples"], numbers["n_items"]))
    return Points(tuple(rows["run"]), numbers["compute"], numbers["error"], numbers["gmacs_per_sample"],
                  numbers["samples_seen"], unique, items)


def _reason(row: dict, rules: Rules) -> Reason | None:
    if row["status"] == "failed":
        return Reason.FAILED_RUN
    if row["error"] <= 0:
        return Reason.NO_ERROR_LEFT
    chance = row["chance"]
    if rules.chance_factor is not None and np.isfinite(chance):
        if 1 - row["error"] < min(rules.chance_factor * chance, (1 + chance) / 2):
            return Reason.NEAR_CHANCE
    return None


def left_out_frame(study: str, targets: list[Target]) -> pd.DataFrame:
    rows = [{"study": study, "run": run, **target.key, "reason": str(reason)}
            for target in targets for run, reason in target.left_out]
    return pd.DataFrame(rows, columns=["study", "run", *KEY, "reason"])

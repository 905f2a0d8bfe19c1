"""Where the planner's law, architectures and throughput come from: a study's tables."""

import numpy as np
import pandas as pd

from ..core import paths
from ..core.errors import UserError
from ..core.schema import RUNS, read_table
from . import targets
from .estimate import fit
from .forms import form_named
from .plan import Architecture, Law


def law_for(study: str, dataset: str, form_name: str, *, family: str | None = None, metric: str | None = None,
            draws: int = 4000) -> Law:
    """Fit `form_name` to a study's models on an evaluation set. Raises UserError for an unknown or unfittable target."""
    form, published = form_named(form_name), study == "published"
    rules = targets.PUBLISHED if published else targets.OWN
    chosen = targets.targets_of(targets.read_errors(study), rules, published=published)
    tasks = ("zeroshot_classification", "retrieval")
    named = [target for target in chosen if target.dataset == dataset and target.task in tasks]
    if not named:
        known = sorted({target.dataset for target in chosen if target.task in tasks})
        raise UserError(f"unknown target {dataset!r} in study {study}", mend=f"known: {', '.join(known)}")
    for what, value in (("family", family), ("metric", metric)):
        if value is not None:
            offered = sorted({getattr(target, what) for target in named})
            named = [target for target in named if getattr(target, what) == value]
            if not named:
                raise UserError(f"{dataset} has no {what} {value!r}", mend=f"known: {', '.join(offered)}")
    # The distribution with most models, and the set's first metric: acc1 before acc5, image before text retrieval.
    target = max(named, key=lambda one: (len(one.points), [-ord(letter) for letter in one.metric]))
    return _law(target, form, draws)


def _law(target: targets.Target, form, draws: int) -> Law:
    place = f"{target.family}, {target.dataset}, {target.metric}"
    if not target.enough:
        raise UserError(f"{len(target.points)} models over {target.points.decades:.1f} decades of compute support no law",
                        where=place, mend="choose another target, or train more models")
    lacking = [name for name in form.needs if getattr(target.points, name) is None]
    if lacking:
        raise UserError(f"form {form.name} needs {', '.join(lacking)} of every model", where=place, mend="take --form power")
    made = fit(target.points, form, draws=draws)
    if not made.ok:
        raise UserError(f"form {form.name} ends with status {made.status}", where=place, mend="take --form power")
    return Law(made, form, target.points)


def architectures_of(study: str, every: bool = False) -> list[Architecture]:
    """Architectures that the study trained; `every`: also those of data/published/architectures.csv, trained or not."""
    runs = read_table(paths.results(study) / "runs.csv", RUNS)
    table = runs[["architecture", "gmacs_per_sample"]]
    if every:
        file = paths.published() / "architectures.csv"
        if not file.is_file():
            raise UserError("no such table", where=file, mend="restore it from git")
        table = pd.concat([table, pd.read_csv(file)[["architecture", "gmacs_per_sample"]]])
    table = table.drop_duplicates("architecture").sort_values("gmacs_per_sample", kind="stable")
    return [Architecture(name, float(gmacs)) for name, gmacs in table.itertuples(index=False)]


def gmacs_per_gpu_second(runs: pd.DataFrame) -> dict[str, float]:
    """The paper's throughput by architecture: median GMAC a second and GPU (data/published/training.csv, A100 40 GB)."""
    file = paths.published() / "training.csv"
    if not file.is_file():
        raise UserError("no throughput of the paper's runs", where=file, mend="give --samples-per-second")
    table = pd.read_csv(file).merge(runs[["run", "architecture", "gmacs_per_sample"]], on="run")
    rate = table["samples_per_second"] / table["gpus"] * table["gmacs_per_sample"]
    return rate[np.isfinite(rate)].groupby(table["architecture"]).median().to_dict()

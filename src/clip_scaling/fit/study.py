"""Fit a whole study and write its tables."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ..core import paths
from ..core.files import atomic_path
from ..core.schema import LAWS, write_table
from . import choice, compare, later, sensitivity, tables, targets
from .forms import Form, form_named
from .outcome import Estimator
from .targets import Target

_ALWAYS = ("constant", "power", "binned_front")  # cheap, and what comparisons and captions rest on
_ROBUST = ("power", "three_variable")  # forms fitted by Huber's loss too
_HEADLINE = ("imagenet1k", "imagenet_robustness", "mscoco_captions", "flickr30k", "vtab+")  # the published sets for that
_ZERO_SHOT = ("zeroshot_classification", "retrieval")


def fit_study(name: str | None, forms: list[str] | None = None) -> pd.DataFrame:
    """Fit every target of a study in every form; writes results/<study>/*.csv and returns the laws. Raises UserError.

    `forms`: instead of those that the study names.
    """
    from tqdm import tqdm

    study, planned, draws, wanted = _plan(name)
    published = study == "published"
    rules = targets.PUBLISHED if published else targets.OWN
    chosen = targets.targets_of(targets.read_errors(study), rules, wanted, published)
    jobs = list(_jobs(chosen, [form_named(form) for form in forms or planned], published))
    bar = tqdm(jobs, desc=f"fit {study}", unit="fit", file=sys.stderr, disable=None)
    fitted = [one for job in bar if (one := tables.fit_target(*job, draws)) is not None]
    folder = paths.results(study)
    laws = write_table(tables.laws_frame(study, fitted), folder / "laws.csv", LAWS)
    write_frame(tables.heldout_frame(study, fitted), folder / "heldout.csv")
    write_frame(targets.left_out_frame(study, chosen), folder / "left_out.csv")
    write_frame(choice.choice_frame(study, fitted), folder / "model_choice.csv")
    write_frame(compare.comparison_frame(study, chosen, rules, draws), folder / "comparison.csv")
    write_frame(sensitivity.sensitivity_frame(study, chosen), folder / "sensitivity.csv")
    write_frame(later.later_frame(fitted), folder / "later.csv")
    return laws


def _jobs(chosen: list[Target], forms: list[Form], published: bool) -> Iterator[tuple[Target, Form, Estimator]]:
    """Forms of more than two parameters only for zero-shot tasks: others have a dozen models, and no scale varies alone."""
    for form in forms:
        for target in chosen:
            if target.task not in _ZERO_SHOT and form.name not in _ALWAYS:
                continue
            yield target, form, Estimator.LOG_LS
            if form.name in _ROBUST and target.task in _ZERO_SHOT and (not published or target.dataset in _HEADLINE):
                yield target, form, Estimator.ROBUST_LOG
            if form.name == "power" and target.task in _ZERO_SHOT and target.points.items is not None:
                yield target, form, Estimator.LOG_LS_BINOMIAL


def _plan(name: str | None) -> tuple[str, list[str], int, list]:
    """Study, forms, bootstrap draws and targets. The published study's stand in this package."""
    from ..core.params import default_study
    from ..core.study import Fit, load_study, load_yaml

    if name == "published":
        section = Fit.model_validate(load_yaml(Path(__file__).with_name("published.yaml"))["fit"])
        return "published", section.forms, section.bootstrap, section.targets
    study = load_study(name or default_study())
    return study.study, list(dict.fromkeys([*_ALWAYS, *study.fit.forms])), study.fit.bootstrap, study.fit.targets


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """CSV, atomically, the same bytes for the same rows."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")

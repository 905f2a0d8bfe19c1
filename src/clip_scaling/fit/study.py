"""Fit a whole study and write its tables."""

import sys

import pandas as pd

from ..core import paths
from ..core.files import atomic_path
from ..core.schema import LAWS, write_table
from . import tables, targets
from .forms import form_named
from .outcome import Estimator

PUBLISHED_FORMS = ("constant", "power", "binned_front")


def fit_study(name: str | None) -> pd.DataFrame:
    """Fit every target of a study in every form it names; writes results/<study>/ and returns the laws."""
    from tqdm import tqdm

    study, forms, draws, wanted = _plan(name)
    published = study == "published"
    rules = targets.PUBLISHED if published else targets.OWN
    chosen = targets.targets_of(targets.read_errors(study), rules, wanted, published)
    jobs = [(target, form_named(form)) for form in forms for target in chosen]
    fitted = []
    for target, form in tqdm(jobs, desc=f"fit {study}", unit="fit", file=sys.stderr, disable=None):
        fitted += [one for one in [tables.fit_target(target, form, Estimator.LOG_LS, draws)] if one]
    folder = paths.results(study)
    laws = write_table(tables.laws_frame(study, fitted), folder / "laws.csv", LAWS)
    _write(tables.heldout_frame(study, fitted), folder / "heldout.csv")
    _write(targets.left_out_frame(study, chosen), folder / "left_out.csv")
    return laws


def _plan(name: str | None) -> tuple[str, list[str], int, list]:
    """Study, forms, bootstrap draws and targets. The published study needs no file."""
    from ..core.params import default_study
    from ..core.study import load_study

    if name == "published" and not (paths.studies() / "published.yaml").is_file():
        return "published", list(PUBLISHED_FORMS), 4000, []
    study = load_study(name or default_study())
    return study.study, study.fit.forms, study.fit.bootstrap, study.fit.targets


def _write(frame: pd.DataFrame, path) -> None:
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")

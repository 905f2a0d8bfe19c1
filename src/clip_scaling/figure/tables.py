"""The tables of a study, read once for its figures."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..core import paths
from ..core.files import atomic_path
from ..core.result_tables import LEFT_OUT, RESULT_TABLES
from ..core.schema import LAWS, RUNS, SCORES, errors_frame, read_table

PUBLISHED = "published"
TARGET = ["family", "task", "dataset", "metric"]


@dataclass(frozen=True)
class StudyTables:
    """runs, scores and laws of a study; `errors` is core.schema.errors_frame of the first two.

    `errors` has a further column `fitted`: "left out" for a model that the fit leaves out (results/<study>/left_out.csv
    gives the reason), else "fitted".
    """

    study: str
    runs: pd.DataFrame
    scores: pd.DataFrame
    laws: pd.DataFrame
    errors: pd.DataFrame

    @property
    def published(self) -> bool:
        return self.study == PUBLISHED

    @property
    def power_form(self) -> str:
        """The form by which figures draw a power law: through the paper's bins for its own models, else through all."""
        return "binned_front" if self.published else "power"

    def of(self, task: str, metric: str | None = None, split: str = "test") -> pd.DataFrame:
        """Rows of `errors` for a task, in order of compute."""
        chosen = self.errors[(self.errors["task"] == task) & (self.errors["split"] == split)]
        chosen = chosen if metric is None else chosen[chosen["metric"] == metric]
        return chosen.sort_values(["compute", "run"])

    def datasets(self, task: str) -> list[str]:
        return sorted(set(self.scores.loc[self.scores["task"] == task, "dataset"]))


def load(study: str) -> StudyTables:
    """Read results/<study>/. laws.csv may be missing: figures then draw no law. Raises UserError."""
    folder = paths.results(study)
    runs, scores = read_table(folder / "runs.csv", RUNS), read_table(folder / "scores.csv", SCORES)
    laws = folder / "laws.csv"
    fitted = read_table(laws, LAWS) if laws.is_file() else pd.DataFrame(columns=LAWS.names)
    return StudyTables(study, runs, scores, fitted, _marked(errors_frame(runs, scores), folder / "left_out.csv"))


def _marked(errors: pd.DataFrame, left_out: Path) -> pd.DataFrame:
    if not left_out.is_file():
        return errors.assign(fitted="fitted")
    keys = ["run", *TARGET]
    rows = read_table(left_out, LEFT_OUT)[keys].drop_duplicates().assign(fitted="left out")
    joined = errors.merge(rows, on=keys, how="left")
    return joined.assign(fitted=joined["fitted"].fillna("fitted"))


def optional(study: str, name: str) -> pd.DataFrame | None:
    """A small table of results/<study>/ that not every study has. Raises UserError for a broken one."""
    file = paths.results(study) / name
    if not file.is_file():
        return None
    read_table(file, RESULT_TABLES[file.stem])
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


def download(study: str, name: str) -> str:
    """Lay results/<study>/<name>.csv beside the page that shows it in part; returns the link to it."""
    with atomic_path(paths.figures(study) / f"{name}.csv") as temporary:
        shutil.copyfile(paths.results(study) / f"{name}.csv", temporary)
    return f"{name}.csv"

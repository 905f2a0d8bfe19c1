"""The tables of a study, read once for its figures."""

from dataclasses import dataclass

import pandas as pd

from ..core import paths
from ..core.schema import LAWS, RUNS, SCORES, errors_frame, read_table


@dataclass(frozen=True)
class StudyTables:
    """runs, scores and laws of a study; `errors` is core.schema.errors_frame of the first two."""

    study: str
    runs: pd.DataFrame
    scores: pd.DataFrame
    laws: pd.DataFrame
    errors: pd.DataFrame


def load(study: str) -> StudyTables:
    """Read results/<study>/. laws.csv may be missing: figures then draw no law. Raises UserError."""
    folder = paths.results(study)
    runs, scores = read_table(folder / "runs.csv", RUNS), read_table(folder / "scores.csv", SCORES)
    laws = folder / "laws.csv"
    fitted = read_table(laws, LAWS) if laws.is_file() else pd.DataFrame(columns=LAWS.names)
    return StudyTables(study, runs, scores, fitted, errors_frame(runs, scores))

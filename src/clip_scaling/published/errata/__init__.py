"""What a re-reading finds: each point a function from the published tables to its evidence, recomputed."""

import pandas as pd

from ..data import Published
from . import laws, reports, runs
from .model import COLUMNS, Erratum

ERRATA: tuple[Erratum, ...] = tuple(sorted((*laws.ERRATA, *runs.ERRATA, *reports.ERRATA), key=lambda one: one.id))


def errata(published: Published) -> pd.DataFrame:
    """COLUMNS, one row a number: all evidence of all points."""
    rows = [(one.id, one.topic, *evidence.cells()) for one in ERRATA for evidence in one.evidence(published)]
    return pd.DataFrame(rows, columns=COLUMNS)

"""An erratum or deviation, and the numbers that it stands on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..data import Published

COLUMNS = ["erratum", "topic", "evidence", "value", "low", "high", "unit", "paper", "source"]


@dataclass(frozen=True)
class Evidence:
    """A recomputed number with its 95 % interval where there is one, what the paper prints beside it, and its rows."""

    what: str
    value: float
    unit: str
    source: str
    low: float = float("nan")
    high: float = float("nan")
    paper: str = ""

    def cells(self) -> tuple:
        return self.what, float(self.value), float(self.low), float(self.high), self.unit, self.paper, self.source


@dataclass(frozen=True)
class Erratum:
    """A point of the errata chapter: number, topic in one sentence, and the function that makes its evidence."""

    id: int
    topic: str
    evidence: Callable[[Published], Iterable[Evidence]]

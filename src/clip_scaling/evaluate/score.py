"""A score: one row of the table `scores`, the model apart."""

from dataclasses import asdict, dataclass

_SOURCE = "evaluate"


@dataclass(frozen=True)
class Score:
    """`value` in [0, 1]; `n_items` scored images or queries; `n_classes` classes, or candidates of a retrieval."""

    task: str
    dataset: str
    split: str
    metric: str
    value: float
    n_items: int
    n_classes: int
    seed: int = 0

    def row(self, study: str, run: str) -> dict:
        return {"study": study, "run": run, **asdict(self), "source": _SOURCE}

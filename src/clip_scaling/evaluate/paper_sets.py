"""The paper's evaluation sets (Tables 17 and 26): where each comes from and what a folder of it must hold."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .folder import Folder

_TABLE = Path(__file__).with_name("paper_sets.csv")


@dataclass(frozen=True)
class PaperSet:
    """`folder`: its name among CLIP_benchmark's webdatasets; counts are None where the paper states none."""

    dataset: str
    folder: str
    task: str
    metric: str
    n_items: int | None
    n_classes: int | None
    n_templates: int | None
    classes_source: str
    templates_source: str


@cache
def paper_sets() -> tuple[PaperSet, ...]:
    """All sets of the table, in the paper's order."""
    with open(_TABLE, newline="", encoding="utf-8") as file:
        return tuple(PaperSet(**{name: _typed(name, text) for name, text in row.items()}) for row in csv.DictReader(file))


def _typed(name: str, text: str) -> str | int | None:
    return (int(text) if text else None) if name.startswith("n_") else text


def differences(folder: Folder, n_items: int) -> list[str]:
    """Where a folder named as one of the paper's sets differs from what the paper scored: sentences, none if equal."""
    known = {name: one for one in paper_sets() for name in (one.folder, one.folder.removeprefix("wds_"))}
    entry = known.get(folder.name)
    if entry is None:
        return []
    said = []
    for what, here, paper in (
        ("items", n_items, entry.n_items),
        ("classes", len(folder.classnames), entry.n_classes),
        ("templates", len(folder.templates), entry.n_templates),
    ):
        if paper is not None and here != paper and (what == "items" or folder.classnames):
            said.append(f"{folder.name}: {here} {what}, the paper's {entry.dataset} has {paper}")
    return said

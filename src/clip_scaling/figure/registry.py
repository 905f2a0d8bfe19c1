"""Which notebooks there are, and which of them a study has the data for."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..core import paths
from ..core.errors import UserError
from .tables import StudyTables, load

Need = Callable[[StudyTables], bool]


@dataclass(frozen=True)
class Notebook:
    """notebooks/<name>.ipynb, its title in the book, its chapter, and what a study must have for it."""

    name: str
    title: str
    chapter: str  # "figures", "tables" or "beyond"
    needs: Need = field(repr=False)
    where: str = "any"  # "published", "own" or "any"


def tasks(*names: str) -> Need:
    """A need: the study has scores of any of these tasks."""
    return lambda tables: bool(set(names) & set(tables.scores["task"]))


def files(*names: str) -> Need:
    """A need: results/<study> has all of these files."""
    return lambda tables: all((paths.results(tables.study) / name).is_file() for name in names)


NOTEBOOKS = (
    Notebook("zero_shot", "Zero-shot classification", "figures", tasks("zeroshot_classification")),
    Notebook("retrieval", "Image and text retrieval", "figures", tasks("retrieval")),
)


def available(study: str) -> list[Notebook]:
    """Notebooks that the study has the data for, in the book's order. Raises UserError without runs or scores."""
    tables = load(study)
    kind = "published" if study == "published" else "own"
    return [book for book in NOTEBOOKS if book.where in ("any", kind) and book.needs(tables)]


def named(names: list[str], study: str) -> list[Notebook]:
    """The notebooks asked for. Raises UserError for an unknown one, or one that the study has no data for."""
    chosen = {book.name: book for book in available(study)}
    for name in names:
        if name not in {book.name for book in NOTEBOOKS}:
            known = ", ".join(book.name for book in NOTEBOOKS)
            raise UserError(f"unknown notebook {name!r}", mend=f"known: {known}")
        if name not in chosen:
            raise UserError(f"study {study} has no data for notebook {name!r}", where=paths.results(study),
                            mend=f"it has data for {', '.join(chosen) or 'none'}")
    return [chosen[name] for name in names]

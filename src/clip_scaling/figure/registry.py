"""Which notebooks there are, and which of them a study has the data for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from .tables import PUBLISHED, StudyTables, load

Need = Callable[[StudyTables], bool]


@dataclass(frozen=True)
class Notebook:
    """notebooks/<name>.ipynb, its title in the book, its section, and what a study must have for it.

    `paper` names the figures of the paper that the page of the published study shows.
    """

    name: str
    title: str
    section: str  # of SECTIONS
    needs: Need = field(repr=False)
    where: str = "any"  # "published", "own" or "any"
    paper: str = ""


SECTIONS = ("figures", "tables", "beyond")


def tasks(*names: str) -> Need:
    """A need: the study has scores of any of these tasks."""
    return lambda tables: bool(set(names) & set(tables.scores["task"]))


def files(*names: str) -> Need:
    """A need: results/<study> has all of these tables, and rows in them."""
    return lambda tables: all(_has_rows(paths.results(tables.study) / name) for name in names)


def _has_rows(table: Path) -> bool:
    return table.is_file() and table.read_text(encoding="utf-8").count("\n") > 1


def _shifted(tables: StudyTables) -> bool:
    from .targets import shifts

    return tasks("zeroshot_classification")(tables) and bool(shifts(tables))


def _several_subsets(tables: StudyTables) -> bool:
    counts = tables.runs.groupby("family")["subset"].nunique()
    return tasks("zeroshot_classification")(tables) and bool((counts > 1).any())


def _comparable(tables: StudyTables) -> bool:
    from .distributions import comparable

    return _classified(tables) and comparable(tables.study)


def _matched(tables: StudyTables) -> bool:
    from .distributions import matched_cells

    return _classified(tables) and not matched_cells(tables.runs).empty


def _classified(tables: StudyTables) -> bool:
    return tasks("zeroshot_classification")(tables) and tasks("retrieval")(tables)


def _beside_published(tables: StudyTables) -> bool:
    return _classified(tables) and all(
        (paths.results(PUBLISHED) / f"{name}.csv").is_file() for name in ("runs", "scores")
    )


def _fits(tables: StudyTables) -> bool:
    return bool(tables.laws["value"].notna().any()) and tasks("zeroshot_classification")(tables)


def _repeats(tables: StudyTables) -> bool:
    from .repeats import known

    return _plannable(tables) and known(tables)


def _plannable(tables: StudyTables) -> bool:
    from .beyond import plannable

    return tasks("zeroshot_classification")(tables) and plannable(tables.study)


NOTEBOOKS = (
    Notebook("zero_shot", "Zero-shot classification", "figures", tasks("zeroshot_classification"), paper="Figure 1a"),
    Notebook("retrieval", "Image and text retrieval", "figures", tasks("retrieval"), paper="Figure 1b for images"),
    Notebook("linear_probe", "Linear probing", "figures", tasks("linear_probe_10shot", "linear_probe_full"), "own"),
    Notebook(
        "linear_probe_paper", "Linear probing", "figures", tasks("linear_probe_full"), "published", "Figures 2 and 3"
    ),
    Notebook(
        "imagenet_fine_tuning", "Fine-tuning on ImageNet", "figures", tasks("joint_fine_tuning"), "published", "Figure 4"
    ),
    Notebook(
        "joint_fine_tuning",
        "Joint fine-tuning and patching",
        "figures",
        tasks("joint_fine_tuning"),
        "published",
        "Figures 5, 9, 10 and 11",
    ),
    Notebook("fine_tuning", "Fine-tuning and patching", "figures", tasks("joint_fine_tuning", "fine_tuning"), "own"),
    Notebook(
        "throughput",
        "Throughput, GPU-hours and energy",
        "figures",
        tasks("zeroshot_classification"),
        "published",
        "in place of Figure 6",
    ),
    Notebook(
        "extrapolation",
        "Extrapolation to larger models",
        "figures",
        tasks("zeroshot_classification"),
        "published",
        "Figure 8",
    ),
    Notebook(
        "openai_resnets",
        "ResNets beside vision transformers",
        "figures",
        tasks("zeroshot_classification"),
        "published",
        "Figure 12",
    ),
    Notebook("learning_curves_paper", "Learning curves", "figures", tasks("zeroshot_classification"), "published"),
    Notebook("learning_curves", "Learning curves", "figures", files("learning_curves.csv"), "own"),
    Notebook("bottleneck", "When data run short", "figures", _several_subsets),
    Notebook("robustness", "Distribution shift", "figures", _shifted),
    Notebook("distributions", "The pre-training distribution", "figures", _comparable),
    Notebook(
        "equal_budgets", "The pre-training distribution at equal budgets", "figures", _matched, "own"
    ),
    Notebook("tables_main", "Tables 1 to 9", "tables", files("table_check.csv"), "published"),
    Notebook("tables_appendix", "Tables 10 to 26", "tables", files("table_check.csv"), "published"),
    Notebook("claims", "Claims, one by one", "tables", files("claims.csv"), "published"),
    Notebook("errata", "Errata and deviations", "tables", files("errata.csv"), "published"),
    Notebook("playground", "Fit it yourself", "beyond", _classified),
    Notebook("laws", "Laws, intervals and held-out tests", "beyond", _fits),
    Notebook("repeats", "Where repeated data stops helping", "beyond", _repeats),
    Notebook("planner", "Plan a training run", "beyond", _plannable),
    Notebook("side_by_side", "Beside the published study", "beyond", _beside_published, "own"),
)


def available(study: str) -> list[Notebook]:
    """Notebooks that the study has the data for, in the book's order. Raises UserError without runs or scores."""
    tables = load(study)
    kind = PUBLISHED if tables.published else "own"
    return [book for book in NOTEBOOKS if book.where in ("any", kind) and book.needs(tables)]


def named(names: list[str], study: str) -> list[Notebook]:
    """The notebooks asked for. Raises UserError for an unknown one, or one that the study has no data for."""
    chosen = {book.name: book for book in available(study)}
    for name in names:
        if name not in {book.name for book in NOTEBOOKS}:
            known = ", ".join(book.name for book in NOTEBOOKS)
            raise UserError(f"unknown notebook {name!r}", mend=f"known: {known}")
        if name not in chosen:
            raise UserError(
                f"study {study} has no data for notebook {name!r}",
                where=paths.results(study),
                mend=f"it has data for {', '.join(chosen) or 'none'}",
            )
    return [chosen[name] for name in names]

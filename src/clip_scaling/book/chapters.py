"""The book's table of contents: which chapters there are and which of them a build includes."""

from dataclasses import dataclass

from ..core import paths
from ..figure.registry import NOTEBOOKS

PUBLISHED = "published"
USUAL = (PUBLISHED, "cpu", "gpu", "laion")  # in this order; `smoke` gets a book of its own


@dataclass(frozen=True)
class Chapter:
    """book/<name>.md; `published` and `own` say that the chapter needs such a study in the build."""

    name: str
    part: str
    published: bool = False
    own: bool = False


CHAPTERS = (
    Chapter("explore", "Use it"),
    Chapter("reproduce", "Use it"),
    Chapter("paper_scale", "Use it"),
    Chapter("methods", "How it was done"),
    Chapter("checklist", "How it was done"),
    Chapter("glossary", "Reference"),
    Chapter("dependencies", "Reference"),
    Chapter("changelog", "Reference"),
    Chapter("cite", "Reference"),
)


def included_studies(study: str | None) -> list[str]:
    """Studies whose figures are drawn. `smoke` stands alone; any other study joins the usual ones."""
    if study == "smoke":
        return _drawn(["smoke"])
    return _drawn([*USUAL, *([study] if study and study not in USUAL else [])])


def _drawn(studies: list[str]) -> list[str]:
    return [study for study in studies if any(paths.figures(study).glob("*.ipynb"))]


def notebooks_of(study: str) -> list[str]:
    """Executed notebooks of the study, in the registry's order."""
    folder = paths.figures(study)
    return [book.name for book in NOTEBOOKS if (folder / f"{book.name}.ipynb").is_file()]


def table_of_contents(studies: list[str]) -> dict:
    """_toc.yml of a build: parts in the order in which a newcomer reads them."""
    parts: dict[str, list[dict]] = {}
    for study in studies:
        title = "The published study" if study == PUBLISHED else "Our own studies"
        # Short titles here, where the study stands above; the pages' own name it.
        titles = {book.name: book.title for book in NOTEBOOKS}
        pages = [{"file": f"{study}/{name}", "title": titles[name]} for name in notebooks_of(study)]
        parts.setdefault(title, []).append({"file": f"{study}/index", "sections": pages})
    for chapter in CHAPTERS:
        if (chapter.published and PUBLISHED not in studies) or (chapter.own and set(studies) <= {PUBLISHED}):
            continue
        parts.setdefault(chapter.part, []).append({"file": chapter.name})
    return {
        "format": "jb-book",
        "root": "index",
        "parts": [{"caption": title, "chapters": pages} for title, pages in parts.items()],
    }

"""Gather a build's source in book/_generated: chapters filled in, executed notebooks, downloads, scripts."""

import shutil
from pathlib import Path

import nbformat
import yaml

from ..core import paths
from ..core.errors import UserError
from ..figure.registry import NOTEBOOKS
from . import assets, chapters, facts

DOWNLOADS = (".csv", ".vl.json", ".svg")


def assemble(studies: list[str], target: Path) -> None:
    """Write a whole Sphinx source folder to `target`. Raises UserError for a number that a chapter lacks."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    book = paths.book() / "chapters"
    values = facts.gather(studies)
    config = yaml.safe_load((book / "_config.yml").read_text(encoding="utf-8"))
    shutil.copyfile(book / "_config.yml", target / "_config.yml")
    shutil.copytree(book / "_static", target / "_static")
    for file in book.glob("*.bib"):
        shutil.copyfile(file, target / file.name)
    contents = chapters.table_of_contents(studies)
    (target / "_toc.yml").write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")
    for page in ("index", *(chapter["file"] for part in contents["parts"] for chapter in part["chapters"])):
        _write_page(page, values, target)
    for study in studies:
        _copy_study(study, target, (config.get("repository") or {}).get("url") or "")
    assets.write_vega_bundle(target / "_static" / "vega-bundle.js")
    assets.copy_mathjax(target / "_extra" / "mathjax")


def _write_page(page: str, values: dict, target: Path) -> None:
    """A study's first page comes from study.md (published.md for the paper's), any other from its own chapter."""
    study, _, name = page.rpartition("/")
    source = page if not study else ("published" if study == chapters.PUBLISHED else "study")
    own = values["studies"].get(study)
    place = target / f"{page}.md"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(
        facts.fill_in(paths.book() / "chapters" / f"{source}.md", {**values, "study": own}), encoding="utf-8"
    )


def _copy_study(study: str, target: Path, repository: str) -> None:
    downloads = target / "_extra" / study
    downloads.mkdir(parents=True)
    for name in chapters.notebooks_of(study):
        notebook = nbformat.read(paths.figures(study) / f"{name}.ipynb", as_version=4)
        _retitle(notebook, name, study)
        if launch := _launch(repository, name):
            notebook.cells.append(nbformat.v4.new_markdown_cell(launch, id="launch"))
        (target / study).mkdir(exist_ok=True)
        nbformat.write(notebook, target / study / f"{name}.ipynb")
        source = paths.notebooks() / f"{name}.ipynb"
        if not source.is_file():
            raise UserError("was executed but is gone", where=source, mend="restore it from git")
        shutil.copyfile(source, downloads / f"{name}.ipynb")
    for file in sorted(paths.figures(study).iterdir()):
        if file.name.endswith(DOWNLOADS):
            shutil.copyfile(file, downloads / file.name)


def _retitle(notebook: nbformat.NotebookNode, name: str, study: str) -> None:
    """Say in the page's title whose study it is, as tabs and search results show nothing else; and which figure of the
    paper it shows.
    """
    first = notebook.cells[0]
    title, rest = first.source.partition("\n")[::2]
    paper = next(book.paper for book in NOTEBOOKS if book.name == name)
    shown = f"\n\nIn the paper: {paper}." if paper and study == chapters.PUBLISHED else ""
    first.source = f"{title} ({facts.short_title(study)})\n{rest}{shown}"


def _launch(repository: str, name: str) -> str:
    """Links that open the notebook elsewhere; nothing while no repository is set."""
    if not repository.startswith("https://github.com/"):
        return ""
    where = repository.removeprefix("https://github.com/").removesuffix(".git").strip("/")
    return (
        f"Run this notebook: [Binder](https://mybinder.org/v2/gh/{where}/HEAD?labpath=notebooks/{name}.ipynb) · "
        f"[Colab](https://colab.research.google.com/github/{where}/blob/main/notebooks/{name}.ipynb)"
    )

"""Stage `figure`: papermill executes each notebook that a study has the data for, several side by side."""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", help="study, or `published`; default: the study of params.yaml")
    parser.add_argument("--all", action="store_true", help="every study with tables in results/, the smoke study apart")
    parser.add_argument("--notebook", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="notebooks at a time (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Write figures/<study>/: executed notebooks, and each figure's rows, specification and pictures."""
    from . import registry

    if args.workers < 1:
        raise UserError(f"--workers is {args.workers}", mend="give 1 or more")
    jobs = []
    for study in _studies(args):
        books = registry.named(args.notebook, study) if args.notebook else registry.available(study)
        if not books:
            raise UserError(
                "no notebook has its data in this study",
                where=paths.results(study),
                mend="run `clip-scaling evaluate` and `collect` first",
            )
        jobs += [(study, book.name) for book in books]
        if not args.notebook:
            _drop_stale(study, {book.name for book in books})
    _execute_all(jobs, args.workers)
    return 0


def _studies(args: argparse.Namespace) -> list[str]:
    if args.all:
        names = sorted(file.parent.name for file in (paths.project_root() / "results").glob("*/scores.csv"))
        return [name for name in names if name != "smoke"]
    if args.study == "published":
        return ["published"]
    from ..core.params import default_study
    from ..core.study import load_study

    return [load_study(args.study or default_study()).study]


def _drop_stale(study: str, keep: set[str]) -> None:
    for old in paths.figures(study).glob("*.ipynb"):
        if old.stem not in keep:
            old.unlink()


def _execute_all(jobs: list[tuple[str, str]], workers: int) -> None:
    from tqdm import tqdm

    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(jobs), unit="notebook", file=sys.stderr) as bar:
        futures = [pool.submit(execute, name, study) for study, name in jobs]
        try:
            for future in futures:
                future.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def execute(name: str, study: str, **parameters: object) -> Path:
    """Execute notebooks/<name>.ipynb for a study; returns the normalised copy in figures/<study>/.

    Raises UserError with the failing cell's error and the path of the whole log.
    """
    from ..charts.save import IN_BOOK  # before papermill: importing charts spares each start 2.5 s

    import nbformat
    import papermill

    from .normalise import normalise

    source = paths.notebooks() / f"{name}.ipynb"
    if not source.is_file():
        raise UserError("no such notebook", where=source, mend="restore it from git")
    values = {"study": study, **parameters}
    unknown = sorted(set(values) - set(papermill.inspect_notebook(str(source))))
    if unknown:
        raise UserError(
            f"notebook {name} has no parameter {', '.join(unknown)}",
            where=source,
            mend="name it in the cell tagged `parameters`",
        )
    os.environ[IN_BOOK] = "1"  # the kernel inherits it
    log = paths.cache() / "figure" / f"{study}-{name}.ipynb"  # keeps the traceback of a failed cell
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = papermill.execute_notebook(
            str(source),
            str(log),
            parameters=values,
            progress_bar=False,
            cwd=str(paths.project_root()),
            extra_arguments=["--log-level=40"],
        )
    except papermill.exceptions.PapermillExecutionError as error:
        raise UserError(
            f"cell {error.exec_count} of notebook {name} fails for study {study} with {error.ename}: {error.evalue}",
            mend=f"the traceback is in {log}",
        ) from None
    target = paths.figures(study) / f"{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, nbformat.writes(normalise(done)) + "\n")
    log.unlink()
    return target

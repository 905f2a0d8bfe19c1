"""Stage `book`: build book/_build/html from executed notebooks and committed tables, without network."""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ..core import paths
from ..core.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--study", help="study to include besides the published, cpu and gpu ones; " "`smoke` gets a book of its own"
    )
    parser.add_argument("--pdf", action="store_true", help="a PDF too, where LaTeX is installed")


def run(args: argparse.Namespace) -> int:
    """Gather the sources in book/_generated and build. Warnings are errors."""
    from . import assemble, chapters

    study = _name(args.study)
    studies = chapters.included_studies(study)
    if not studies or (study and study not in studies):
        raise UserError(
            "no executed notebooks",
            where=paths.figures(study or "published"),
            mend=f"run `clip-scaling figure --study {args.study or 'published'}` first",
        )
    generated, build = paths.book() / "_generated", paths.book() / "_build"
    assemble.assemble(studies, generated)
    _sphinx(generated, build, "html")
    print(f"book of {', '.join(studies)}: {build / 'html' / 'index.html'}")
    if args.pdf:
        _pdf(generated, build)
    return 0


def _name(study: str | None) -> str | None:
    if study in (None, "published"):
        return study
    from ..core.study import load_study

    return load_study(study).study


def _sphinx(source: Path, build: Path, builder: str) -> Path:
    """Build beside the old pages and put the new ones in their place when whole."""
    work = build / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log = build / f"{builder}.log"
    start = "from clip_scaling import charts; from jupyter_book.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        start,
        "build",
        str(source),
        "--path-output",
        str(work),
        "--builder",
        builder,
        "-W",
        "-n",
        "--keep-going",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    made = work / "_build" / builder.removeprefix("pdf")  # pdflatex builds in a folder latex
    if done.returncode or not made.is_dir():
        raise UserError(
            f"the book does not build: {_first_fault(log)}", where=source, mend=f"the whole log is in {log}"
        )
    target = build / builder
    shutil.rmtree(target, ignore_errors=True)
    made.rename(target)
    shutil.rmtree(work)
    return target


def _first_fault(log: Path) -> str:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8")).splitlines()
    faults = [line.strip() for line in lines if "WARNING" in line or "ERROR" in line or "Error" in line]
    return faults[0] if faults else (lines[-1].strip() if lines else "it said nothing")


def _pdf(source: Path, build: Path) -> None:
    from . import latex

    if not shutil.which("xelatex") or not shutil.which("latexmk"):
        raise UserError(
            "the PDF needs xelatex and latexmk, which are not installed",
            mend="install TeX Live (texlive-xetex, latexmk), or read the pages in book/_build/html",
        )
    for_latex = source.with_name("_generated_latex")
    latex.assemble(source, for_latex)
    target = _sphinx(for_latex, build, "pdflatex")
    made = (target / "clip-scaling-laws.pdf").replace(build / "clip-scaling-laws.pdf")
    shutil.rmtree(for_latex)
    shutil.rmtree(target)
    print(f"PDF: {made}")

"""Stages `published` and `claims`: the paper's numbers checked, its tables, claims and errata recomputed."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("tables", "claims"),
        default="tables",
        help="tables: runs, scores and tables (default); claims: claims and errata",
    )
    parser.add_argument("--study", default="published", choices=("published",), help="only `published`")


def run(args: argparse.Namespace) -> int:
    """Write results/published/. Raises UserError where data/published is bad or a verdict is not the declared one."""
    from ..core import paths
    from .data import load

    published, out = load(), paths.results("published")
    if args.what == "claims":
        write_claims(published, out)
    else:
        write_scores(published, out)
        write_tables(published, out)
    return 0


def write_scores(published, out: Path) -> None:
    """runs.csv and scores.csv in the schema that all studies share."""
    from ..core.schema import RUNS, SCORES, write_table

    write_table(published.runs, out / "runs.csv", RUNS)
    write_table(published.all_scores, out / "scores.csv", SCORES)


def write_tables(published, out: Path) -> None:
    """table_check.csv, a row a printed cell, and tables/tableNN.csv as the paper lays them out."""
    from .table_check import check_tables, summary, wide

    checked = check_tables(published)
    _write(checked, out / "table_check.csv", "%.10g")
    for table in checked["table"].unique():
        name = f"table{int(table):02d}.csv" if table.isdigit() else f"table_{table}_vtab.csv"
        _write(wide(checked, table), out / "tables" / name)
    counts = summary(checked)[["cells", "within", "outside", "transcribed"]].sum()
    print(
        f"tables: {counts['cells']} cells, {counts['within']} within printed rounding, {counts['outside']} not, "
        f"{counts['transcribed']} without public numbers",
        file=sys.stderr,
    )


def write_claims(published, out: Path) -> None:
    """claims.csv and errata.csv; both are written before a verdict that nobody declared stops the stage."""
    from .claims import ledger
    from .errata import errata

    judged = ledger.judge(published)
    _write(judged.frame, out / "claims.csv")
    _write(errata(published), out / "errata.csv", "%.10g")
    print("claims: " + ", ".join(f"{count} {name}" for name, count in judged.counts.items()), file=sys.stderr)
    judged.raise_if_unexpected()


def _write(frame, path: Path, float_format: str | None = None) -> None:
    from ..core.files import atomic_path

    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", float_format=float_format)

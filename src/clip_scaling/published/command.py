"""Stages `published` and `claims`: the paper's numbers checked, its tables, claims and errata recomputed."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=("tables", "claims"), default="tables",
                        help="tables: runs, scores and tables (default); claims: claims and errata")
    parser.add_argument("--study", default="published", choices=("published",), help="only `published`")


def run(args: argparse.Namespace) -> int:
    """Write results/published/. Raises UserError where data/published is bad or a verdict differs from the declared one."""
    from ..core import paths
    from .data import load

    published, out = load(), paths.results("published")
    if args.what == "tables":
        write_scores(published, out)
    return 0


def write_scores(published, out) -> None:
    """runs.csv and scores.csv in the schema that all studies share."""
    from ..core.schema import RUNS, SCORES, write_table

    write_table(published.runs, out / "runs.csv", RUNS)
    write_table(published.all_scores, out / "scores.csv", SCORES)

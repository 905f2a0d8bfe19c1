"""Stage `fit`: laws of a study, or of any CSV."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", help="study, or `published`; default: the study of params.yaml")


def run(args: argparse.Namespace) -> int:
    """Write results/<study>/laws.csv and the tables beside it."""
    from . import study

    study.fit_study(args.study)
    return 0

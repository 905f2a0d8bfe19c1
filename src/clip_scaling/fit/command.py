"""Stage `fit`: laws of a study, or of any CSV of results."""

import argparse
from pathlib import Path

from ..core.errors import UserError
from ..core.threads import one_thread


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="?", metavar="RESULTS.csv", help="any CSV, one row a model; without it, a study")
    parser.add_argument("--study", help="study, or `published`; default: the study of params.yaml")
    parser.add_argument("--form", action="append", help="form of the law; for a study it may be repeated (default: the study's)")
    parser.add_argument("--estimator", help="log_ls (default), robust_log, log_ls_binomial or varpro; for a CSV")
    parser.add_argument("--error", help="column of errors, fractions in (0, 1]")
    parser.add_argument("--compute", help="column of total compute, GMAC (default: --gmacs x --samples)")
    parser.add_argument("--group", help="column whose values are fitted apart")
    parser.add_argument("--gmacs", help="column of GMAC per sample")
    parser.add_argument("--samples", help="column of samples seen")
    parser.add_argument("--unique", help="column of unique samples")
    parser.add_argument("--items", help="column of items scored, for binomial weights")
    parser.add_argument("--holdout", type=float, metavar="FRACTION", help="predict the largest-compute models from the others")
    parser.add_argument("--bootstrap", type=int, metavar="N", help="draws, 100 or more, or 0 for none (default: 4000); for a CSV")
    parser.add_argument("--delta", type=float, help="where Huber's loss turns linear, in log error (default: 0.01)")
    parser.add_argument("--json", action="store_true", help="print JSON; for a CSV")


def run(args: argparse.Namespace) -> int:
    """Write results/<study>/*.csv, or print the fit of a CSV. Raises UserError."""
    one_thread()  # the batched work is many small products: more only cost
    if args.results is None:
        _refuse_csv_options(args)
        from . import study

        study.fit_study(args.study, args.form)
        return 0
    _fit_csv(args)
    return 0


_CSV_ONLY = ("error", "compute", "group", "gmacs", "samples", "unique", "items", "holdout", "estimator", "bootstrap", "delta",
             "json")


def _refuse_csv_options(args: argparse.Namespace) -> None:
    given = [f"--{name}" for name in _CSV_ONLY if getattr(args, name) not in (None, False)]
    if given:
        raise UserError(f"{', '.join(given)} without a CSV", mend="name the CSV first: clip-scaling fit RESULTS.csv ...")


def _fit_csv(args: argparse.Namespace) -> None:
    from . import user_csv

    if args.study:
        raise UserError("both a CSV and --study are given", mend="give one of them")
    if not args.error or not args.form or len(args.form) > 1:
        raise UserError("a CSV needs --error COLUMN and one --form NAME", where=args.results,
                        mend="for example --compute gmacs_total --error error --form power")
    estimator = args.estimator or "log_ls"
    if estimator not in ("log_ls", "robust_log", "log_ls_binomial", "varpro"):
        raise UserError(f"unknown estimator {estimator!r}", mend="known: log_ls, robust_log, log_ls_binomial, varpro")
    if args.delta is not None and estimator != "robust_log":
        raise UserError(f"--delta says nothing to estimator {estimator}", mend="add --estimator robust_log, or leave it out")
    draws, delta = 4000 if args.bootstrap is None else args.bootstrap, 0.01 if args.delta is None else args.delta
    if not (draws == 0 or 100 <= draws <= 100_000):
        raise UserError(f"--bootstrap is {draws}", mend="give 100 to 100000 draws, or 0 for intervals from the curvature")
    if not 0 < delta < float("inf"):
        raise UserError(f"--delta is {delta}", mend="give a positive number")
    columns = user_csv.Columns(args.error, args.compute, args.gmacs, args.samples, args.unique, args.items, args.group)
    fits = user_csv.fit_csv(Path(args.results), columns, args.form[0], estimator=estimator, draws=draws, delta=delta,
                            holdout=args.holdout)
    print(user_csv.as_json(fits) if args.json else user_csv.as_text(fits))

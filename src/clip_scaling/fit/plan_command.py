"""`clip-scaling plan`: best architecture and samples seen for a budget."""

import argparse
import json

from ..core.errors import UserError, short


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", required=True, help="evaluation set whose error is predicted, such as imagenet1k")
    parser.add_argument("--budget", type=float, metavar="GMAC", help="total compute: GMAC per sample x samples seen")
    parser.add_argument("--gpu-hours", type=float, help="instead: hours of one GPU, at the throughput stated or the paper's")
    parser.add_argument("--samples-per-second", type=float, metavar="RATE",
                        help="throughput of one GPU for --architecture; others by their GMAC (default: the paper's runs, A100)")
    parser.add_argument("--samples", type=float, help="samples seen, or a cap on them beside a budget")
    parser.add_argument("--unique", type=float, help="distinct image-text pairs at hand (default: the largest subset fitted)")
    parser.add_argument("--architecture", help="only this one")
    parser.add_argument("--all-architectures", action="store_true", help="also those of the table that were never trained")
    parser.add_argument("--study", default="published", help="whose models the law is fitted to (default: published)")
    parser.add_argument("--family", help="pre-training distribution (default: the one with most models)")
    parser.add_argument("--metric", help="default: the set's first, such as acc1")
    parser.add_argument("--form", default="three_variable", help="default: three_variable")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the options, best first. Raises UserError."""
    from . import plan, plan_source

    _check(args)
    architectures = plan_source.architectures_of(args.study, args.all_architectures)
    if not architectures:
        raise UserError(f"study {args.study} has no runs yet", mend="reproduce it first, or take --study published")
    chosen = [one for one in architectures if args.architecture in (None, one.name)]
    if not chosen:
        raise UserError(f"unknown architecture {short(args.architecture)!r}",
                        mend=f"known: {', '.join(one.name for one in architectures)}; more with --all-architectures")
    law = plan_source.law_for(args.study, args.target, args.form, family=args.family, metric=args.metric)
    ranked = plan.options(law, chosen, _budget(args, chosen))
    print(_json(args, law, ranked) if args.json else _text(args, law, ranked))
    return 0


def _check(args: argparse.Namespace) -> None:
    from .plan import MOST

    if args.budget is not None and args.gpu_hours is not None:
        raise UserError("both --budget and --gpu-hours are given", mend="give one of them")
    if args.budget is None and args.gpu_hours is None and args.samples is None:
        raise UserError("no budget", mend="give --budget GMAC, --gpu-hours HOURS or --samples N")
    for name in ("budget", "gpu_hours", "samples_per_second", "samples", "unique"):
        value = getattr(args, name)
        least = 1 if name in ("samples", "unique") else 0
        if value is not None and not (value >= least and 0 < value < MOST):
            raise UserError(f"--{name.replace('_', '-')} is {value}", mend=f"give a number from {least:d} to {MOST:g}")
    if args.samples_per_second is not None and (args.gpu_hours is None or args.architecture is None):
        raise UserError("--samples-per-second says how fast one architecture runs", mend="add --gpu-hours and --architecture")


def _budget(args: argparse.Namespace, architectures: list):
    from . import plan

    by_architecture = None
    if args.gpu_hours is not None:
        by_architecture = {one.name: args.gpu_hours * 3600 * rate
                           for one, rate in zip(architectures, _rates(args, architectures))}
    return plan.Budget(args.budget, args.samples, args.unique, by_architecture)


def _rates(args: argparse.Namespace, architectures: list) -> list[float]:
    """GMAC a second and GPU for each architecture: stated, as in the paper's runs, or as those of the nearest size."""
    if args.samples_per_second is not None:
        return [one.gmacs * args.samples_per_second for one in architectures]
    from ..core import paths
    from ..core.schema import RUNS, read_table
    from . import plan_source

    known = plan_source.gmacs_per_gpu_second(read_table(paths.results("published") / "runs.csv", RUNS))
    sizes = {one.name: one.gmacs for one in plan_source.architectures_of("published")}
    return [known.get(one.name) or known[min(known, key=lambda name: abs(sizes[name] / one.gmacs - 1))]
            for one in architectures]


def _json(args: argparse.Namespace, law, ranked: list) -> str:
    options = [{"architecture": one.architecture, "gmacs_per_sample": one.gmacs, "samples_seen": round(one.samples),
                "unique_samples": None if one.unique != one.unique else round(one.unique), "compute_gmac": one.compute,
                "error": one.error, "low": one.low, "high": one.high, "beyond_decades": one.beyond, "warning": one.warning}
               for one in ranked]
    about = {"target": args.target, "study": args.study, "form": law.form.name, "estimator": str(law.fit.estimator),
             "status": str(law.fit.status), "n_points": law.fit.n_points, "note": law.note, "best": options[0], "options": options}
    return json.dumps(about, indent=1, allow_nan=False)


def _text(args: argparse.Namespace, law, ranked: list) -> str:
    best = ranked[0]
    lines = [
        f"{args.target}: law {law.form.name} through {law.fit.n_points} models of study {args.study}, status {law.fit.status}",
        f"best: {best.architecture} for {best.samples:.3g} samples ({best.compute:.3g} GMAC): error {100 * best.error:.1f} %, "
        f"95 % interval {100 * best.low:.1f} to {100 * best.high:.1f} %",
        f"extrapolation: {best.extrapolation_decades:.2f} decades beyond the fitted models",
    ]
    lines += [f"{kind}: {said}" for kind, said in (("note", law.note), ("warning", best.warning)) if said]
    lines.append(f"{'architecture':<20} {'samples seen':>13} {'GMAC':>10} {'error %':>8}   95 % interval   decades beyond")
    lines += [f"{one.architecture:<20} {one.samples:>13.4g} {one.compute:>10.3g} {100 * one.error:>8.2f}   "
              f"{100 * one.low:>5.1f} to {100 * one.high:<5.1f}   {one.extrapolation_decades:.2f}" for one in ranked]
    return "\n".join(lines)

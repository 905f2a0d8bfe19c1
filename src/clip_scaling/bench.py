"""`clip-scaling bench PART`: benchmarks of a part of the package against what others use, side by side."""

import argparse
import importlib

PARTS = {
    "fit": ("clip_scaling.fit.bench", "fitting against multi-start L-BFGS and curve_fit"),
    "train": ("clip_scaling.train.bench", "the embedded engine against open_clip_train"),
    "evaluate": ("clip_scaling.evaluate.bench", "evaluation against CLIP_benchmark"),
    "subset": ("clip_scaling.subset.bench", "drawing a subset from metadata at scale"),
}


def add_arguments(parser) -> None:
    parser.epilog = "; ".join(f"{name}: {summary}" for name, (_, summary) in PARTS.items())
    parser.add_argument("part", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    # A part's own arguments are read once it is known: importing all four would cost seconds.
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="bench PART --help lists them")


def run(args) -> int | None:
    module, summary = importlib.import_module(PARTS[args.part][0]), PARTS[args.part][1]
    parser = argparse.ArgumentParser(prog=f"clip-scaling bench {args.part}", description=summary)
    module.add_arguments(parser)
    return module.run(parser.parse_args(args.arguments))

"""`clip-scaling bench PART`: benchmarks of a part of the package against what others use, side by side."""

import importlib
import sys

PARTS = {
    "fit": ("clip_scaling.fit.bench", "fitting against multi-start L-BFGS and curve_fit"),
    "train": ("clip_scaling.train.bench", "the embedded engine against open_clip_train"),
    "evaluate": ("clip_scaling.evaluate.bench", "evaluation against CLIP_benchmark"),
    "subset": ("clip_scaling.subset.bench", "drawing a subset from metadata at scale"),
}


def add_arguments(parser) -> None:
    subparsers = parser.add_subparsers(dest="part", required=True, metavar="PART")
    asked = next((word for word in sys.argv if word in PARTS), None)
    for name, (module, summary) in PARTS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == asked:
            importlib.import_module(module).add_arguments(subparser)


def run(args) -> int | None:
    return importlib.import_module(PARTS[args.part][0]).run(args)

"""The command `clip-scaling`: one subcommand a stage, loaded only when asked for."""

import argparse
import importlib
import os
import sys
import traceback

from . import __version__
from .core.errors import UserError

# name: (module with add_arguments(parser) and run(args) -> int | None, one line of help)
COMMANDS = {
    "prepare": ("clip_scaling.prepare.command", "fetch icons, render, caption, split off evaluation sets"),
    "subset": ("clip_scaling.subset.command", "draw nested pre-training subsets as webdataset shards"),
    "train": ("clip_scaling.train.command", "train every run of the study, or one"),
    "evaluate": ("clip_scaling.evaluate.command", "evaluate every run, or any open_clip model on a webdataset folder"),
    "collect": ("clip_scaling.collect", "gather run records and scores into results/<study>/"),
    "published": ("clip_scaling.published.command", "the paper's numbers, tables and claims"),
    "fit": ("clip_scaling.fit.command", "fit laws to a study, or to any CSV"),
    "figure": ("clip_scaling.figure", "execute the notebooks that draw figures and tables"),
    "book": ("clip_scaling.book.command", "build the Jupyter Book"),
    "verify": ("clip_scaling.verify", "compare results with the reference"),
    "plan": ("clip_scaling.fit.plan_command", "best architecture and samples seen for a budget"),
    "compute": ("clip_scaling.train.compute_command", "GMAC, parameters and activations of an architecture"),
    "tune": ("clip_scaling.train.tune", "sweep learning rates on the tuning families"),
    "travel": ("clip_scaling.travel.command", "train a study on a machine available for minutes, without network"),
    "bench": ("clip_scaling.bench", "benchmarks, side by side in one run"),
    "provenance": ("clip_scaling.provenance", "trace a table to commit, parameters and inputs; export RO-Crate"),
    "dag": ("clip_scaling.dag", "draw the pipeline"),
    "repro": ("clip_scaling.repro", "reproduce a study: `dvc repro` under a lock"),
}


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; 0 on success, 1 where results differ, 2 for bad input, 130 for Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    args = _parser(argv).parse_args(argv)
    try:
        return _entry(args.command).run(args) or 0
    except UserError as error:
        print(f"clip-scaling {args.command}: {error.sentence}", file=sys.stderr)
    except OSError as error:
        if os.environ.get("CLIP_SCALING_TRACEBACK"):
            traceback.print_exc()
        told = UserError(error.strerror or str(error), where=error.filename, mend="mend that and run the same command again")
        print(f"clip-scaling {args.command}: {told.sentence}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"clip-scaling {args.command}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 2


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clip-scaling", description=__doc__)
    parser.add_argument("--version", action="version", version=f"clip-scaling {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = next((word for word in argv if word in COMMANDS), None)
    for name, (_, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == asked:  # importing the others would cost seconds
            importlib.import_module(COMMANDS[name][0]).add_arguments(subparser)
    return parser


def _entry(command: str):
    return importlib.import_module(COMMANDS[command][0])


if __name__ == "__main__":
    sys.exit(main())

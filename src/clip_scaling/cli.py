"""The command `clip-scaling`: one subcommand a stage, loaded only when asked for."""

import argparse
import contextlib
import importlib
import os
import select
import sys
import traceback
from collections.abc import Iterator
from typing import NoReturn

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
    "provenance": ("clip_scaling.provenance", "trace a table or row to commit, parameters and inputs; export RO-Crate"),
    "dag": ("clip_scaling.dag", "draw the pipeline"),
    "repro": ("clip_scaling.repro", "reproduce a study: `dvc repro` under a lock"),
}


class _Parser(argparse.ArgumentParser):
    """Faults of the command line are one sentence as all others are, without the usage; subparsers are of this class too."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message, mend=f"see {self.prog} --help")


_NOBODY_READS = 141  # what a shell reports of any program whose reader has gone: 128 + SIGPIPE


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; 0 on success, 1 where results differ, 2 for bad input, 130 for Ctrl-C, 141 where nobody reads on."""
    argv = sys.argv[1:] if argv is None else argv
    command = " ".join(["clip-scaling", *filter(None, [_asked(argv)])])
    try:
        with _written_out():
            args, unknown = _parser(argv).parse_known_args(argv)
            if unknown:  # told here: argparse would point to the help of all commands
                raise UserError(f"unrecognized arguments: {' '.join(unknown)}", mend=f"see {command} --help")
            return _entry(args.command).run(args) or 0
    except UserError as error:
        print(f"{command}: {error.sentence}", file=sys.stderr)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return _NOBODY_READS
        if os.environ.get("CLIP_SCALING_TRACEBACK"):
            traceback.print_exc()
        told = UserError(error.strerror or str(error), where=error.filename, mend="mend that and run the same command again")
        print(f"{command}: {told.sentence}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{command}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 2


@contextlib.contextmanager
def _written_out() -> Iterator[None]:
    """What was printed is written here: when the interpreter ends, a reader that has gone could only be a traceback."""
    try:
        yield
    finally:
        if sys.stdout:
            sys.stdout.flush()


def _nobody_reads() -> bool:
    """Whether it is standard output that broke, not the pipe of a worker; if so, what is left of it goes nowhere."""
    watch = select.poll()
    with contextlib.suppress(AttributeError, OSError):  # none, or a notebook's, which is no file
        watch.register(sys.stdout.fileno(), 0)  # 0: errors alone
    if not watch.poll(0):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return True


def _asked(argv: list[str]) -> str | None:
    return next((word for word in argv if word in COMMANDS), None)


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="clip-scaling", description=__doc__)
    parser.add_argument("--version", action="version", version=f"clip-scaling {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = _asked(argv)
    for name, (_, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == asked:  # importing the others would cost seconds
            importlib.import_module(COMMANDS[name][0]).add_arguments(subparser)
    return parser


def _entry(command: str):
    return importlib.import_module(COMMANDS[command][0])


if __name__ == "__main__":
    sys.exit(main())

"""`clip-scaling bench PART`: benchmarks of a part of the package against what others use, side by side."""

import argparse
import contextlib
import datetime
import importlib
import io
import os
import platform
import sys

from .core import paths
from .core.files import read_json, write_json
from .core.threads import one_thread

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
    """Run one part's benchmark, and keep what it prints where `--save` is given."""
    one_thread()  # times of one core; what is measured with more says so itself
    module, summary = importlib.import_module(PARTS[args.part][0]), PARTS[args.part][1]
    parser = argparse.ArgumentParser(prog=f"clip-scaling bench {args.part}", description=summary)
    module.add_arguments(parser)
    parser.add_argument("--save", action="store_true", help="keep what is printed for the book, in results/benchmarks.json")
    given = parser.parse_args(args.arguments)
    if not given.save:
        return module.run(given)
    with contextlib.redirect_stdout(_Copied(sys.stdout)) as printed:
        code = module.run(given)
    if not code:
        _save(args.part, args.arguments, printed.getvalue())
    return code


class _Copied(io.StringIO):
    """Keeps what is written, and passes it on."""

    def __init__(self, stream) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text)
        return super().write(text)


def _save(part: str, arguments: list[str], printed: str) -> None:
    """Replace the part's entry in results/benchmarks.json: command, what it printed, when, and on which machine."""
    from .train.finished import processor

    path = paths.project_root() / "results" / "benchmarks.json"
    kept = read_json(path) if path.is_file() else {}
    kept[part] = {
        "summary": PARTS[part][1],
        "command": " ".join(["clip-scaling bench", part, *(word for word in arguments if word != "--save")]),
        "printed": printed.rstrip().splitlines(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
    }
    write_json(path, {name: kept[name] for name in sorted(kept)})

"""`clip-scaling travel`: train a study on a machine that is available for minutes and has no network.

`pack` writes its data into one file; there, `part` trains and evaluates for some minutes and keeps what is done in one
progress file, which the next part goes on from; here, `home` takes that file in, and `repro` finds the work done.
"""

import os
import sys
import time
from pathlib import Path

from ..core import params
from ..core.errors import UserError
from ..core.study import Study, load_study
from ..train.command import add_machine_arguments, deadline_of, publish_finished, train_missing

_TRAINING = 0.8  # of a part's minutes, while there is something to train; the rest is for evaluating


def add_arguments(parser) -> None:
    """A verb each for packing, training a part and coming home."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    pack = verbs.add_parser("pack", help="here: write the study's data into one file")
    pack.add_argument("file", type=Path, metavar="FILE")
    pack.add_argument("--split", type=float, metavar="MIB", help="in parts of so much at most: FILE.01, FILE.02 ...")
    part = verbs.add_parser("part", help="there: train and evaluate for some minutes; ends with 3 while more is to do")
    part.add_argument("--pack", type=Path, required=True, metavar="FILE", help="the study's data, as `pack` wrote them")
    part.add_argument("--progress", type=Path, required=True, metavar="FILE", help="gone on from, and written anew")
    part.add_argument("--limit", type=float, metavar="MIB", help="of the progress file; runs that exceed it begin again")
    add_machine_arguments(part)
    home = verbs.add_parser("home", help="here: take a progress file in")
    home.add_argument("file", type=Path, metavar="FILE")
    for verb in (pack, part, home):
        verb.add_argument("--study", help="name or file of a study (default: the one in params.yaml)")


def run(args) -> int:
    begun = time.monotonic()
    study = load_study(args.study or params.default_study())
    if study.train.engine != "embedded":
        raise UserError(f"study {study.study} is trained on a cluster", mend="name one with `engine: embedded`")
    return {"pack": _pack, "part": _part, "home": _home}[args.verb](study, args, begun)


def _specs(study: Study) -> list:
    from ..train.spec import run_specs

    return run_specs(study)


def _pack(study: Study, args, begun: float) -> int:
    from .data import pack

    pack(args.file, study.study, _specs(study), split=_bytes(args.split, "--split"))
    return 0


def _part(study: Study, args, begun: float) -> int:
    from . import progress
    from .data import unpack

    limit, deadline = _bytes(args.limit, "--limit"), deadline_of(args)
    unpack(args.pack, study.study)
    if args.progress.is_file():
        progress.load(args.progress, study.study)
    specs = _specs(study)
    try:
        _train(study, specs, args, begun, deadline)
    finally:  # Ctrl-C and what a machine sends before it goes: what is saved travels
        progress.save(args.progress, study, specs, limit=limit)
    if _evaluate(study, specs, args, deadline):
        progress.save(args.progress, study, specs, limit=limit)
    return _say(study, specs, "carry the progress file along and call the same command again")


def _train(study: Study, specs: list, args, begun: float, deadline: float | None) -> None:
    from ..train.finished import is_finished

    share = deadline and begun + _TRAINING * (deadline - begun)
    train_missing([spec for spec in specs if not is_finished(spec)], study.train.precision, args, share)


def _evaluate(study: Study, specs: list, args, deadline: float | None) -> bool:
    """Evaluate what is finished, the smallest models first; False where nothing was to do."""
    from ..evaluate.grid import evaluate_runs, jobs
    from ..train.schedule import cost
    from . import progress

    finished = sorted(publish_finished(specs), key=cost)
    todo = [spec.run for spec in finished if not progress.is_evaluated(study, spec)]
    if todo:
        evaluate_runs(jobs(study, todo), workers=args.workers or os.cpu_count() or 1, deadline=deadline)
    return bool(todo)


def _home(study: Study, args, begun: float) -> int:
    from . import progress

    progress.load(args.file, study.study)
    specs = _specs(study)
    publish_finished(specs)
    return _say(study, specs, "train the rest in further parts")


def _say(study: Study, specs: list, more: str) -> int:
    from ..train.finished import is_finished
    from .progress import is_evaluated

    finished = [spec for spec in specs if is_finished(spec)]
    evaluated = sum(is_evaluated(study, spec) for spec in finished)
    done = evaluated == len(specs)
    said = f"{len(finished)} of {len(specs)} runs are finished, {evaluated} evaluated"
    print(said if done else f"{said}; {more}", file=sys.stderr)
    return 0 if done else 3


def _bytes(mib: float | None, name: str) -> int | None:
    if mib is not None and not mib > 0:
        raise UserError(f"{name} {mib:g} holds nothing", mend="give more than 0 MiB")
    return mib and max(1, int(mib * 2**20))

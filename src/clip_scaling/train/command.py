"""`clip-scaling train`: every run of a study, several at a time, each only if nobody trained it before."""

import os
import shutil
import sys
import time

from ..core import params, paths
from ..core.errors import UserError
from ..core.study import load_study


def add_arguments(parser) -> None:
    parser.add_argument("--study", help="name or file of a study (default: the one in params.yaml)")
    parser.add_argument("--run", action="append", metavar="RUN", dest="runs", help="only this run (may be repeated)")
    add_machine_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained, and train nothing")
    cluster = parser.add_argument_group("engine `cluster`")
    cluster.add_argument("--executor", choices=["slurm", "local"], default="slurm", help="local: for a trial")
    cluster.add_argument("--no-wait", action="store_true", help="submit and return; the same command collects later")
    cluster.add_argument("--allow-pipe", action="store_true", help="run the shell commands of `pipe:` shards")
    cluster.add_argument("--json", action="store_true", help="print the dry run as JSON")
    cluster.add_argument("--table", action="store_true", help="print the dry run as a table, without commands")


def add_machine_arguments(parser) -> None:
    """How much of the machine to use, and for how long."""
    parser.add_argument("--workers", type=int, help="on the CPU: runs at a time, one thread each (default: cores)")
    parser.add_argument("--minutes", type=float, help="stop at a checkpoint after so long; the same command goes on")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: by the study's precision)")
    parser.add_argument("--parallel", type=int, default=4, help="on a GPU: runs that share it (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="on a GPU: torch.compile the towers")
    parser.add_argument("--no-graph", action="store_true", help="on a GPU: do not capture steps as CUDA graphs")


def deadline_of(args) -> float | None:
    """Monotonic seconds at which `--minutes` are over, counted from this call; refuses numbers that train nothing.

    Called before torch is imported and data are read: those take their share of the minutes. Raises UserError.
    """
    for name in ("workers", "parallel"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise UserError(f"--{name} {value} trains nothing", mend="give 1 or more")
    if args.minutes is not None and not args.minutes > 0:
        raise UserError(f"--minutes {args.minutes:g} trains nothing", mend="give more than 0")
    return time.monotonic() + 60 * args.minutes if args.minutes else None


def run(args) -> int:
    """Train what is missing and publish what is finished; 3 where time was up. Raises UserError."""
    deadline = deadline_of(args)
    study = load_study(args.study or params.default_study())
    if study.train.engine == "cluster":
        from . import cluster

        return cluster.run_study(study, args)
    from .finished import is_finished
    from .spec import run_specs

    specs = run_specs(study, args.runs)
    missing = [spec for spec in specs if not is_finished(spec)]
    if args.dry_run:
        return _say(specs, missing)
    done = train_missing(missing, study.train.precision, args, deadline)
    finished = publish_finished(specs)
    if not args.runs and len(finished) == len(specs):
        _drop_strangers(study.study, {spec.run for spec in specs})
    if not done:
        print(f"{len(finished)} of {len(specs)} runs are finished; the same command goes on", file=sys.stderr)
        return 3
    return 0


def train_missing(specs: list, precision: str, args, deadline: float | None) -> bool:
    """Train what is missing; True when all of it is done, False when time was up."""
    if not specs:
        return True
    device = "cpu"
    if args.device is not None or precision != "fp32":
        from .device import pick_device, train_all_on

        device = pick_device(args.device, precision)
    if device != "cpu":
        return train_all_on(
            device, specs, parallel=args.parallel, deadline=deadline, compiled=args.compile, graph=not args.no_graph
        )
    from .schedule import train_all

    return train_all(specs, workers=args.workers or os.cpu_count() or 1, deadline=deadline)


def publish_finished(specs: list) -> list:
    """Put what is finished into runs/<study>; returns those specifications."""
    from .finished import is_finished, publish

    finished = [spec for spec in specs if is_finished(spec)]
    for spec in finished:
        publish(spec)
    return finished


def _say(specs: list, missing: list) -> int:
    from .schedule import cost

    names = {spec.run for spec in missing}
    for spec in sorted(specs, key=cost, reverse=True):
        state = "to train" if spec.run in names else "finished"
        print(f"{spec.run:<44} {spec.samples_seen:>10,} samples {cost(spec):>12.5g} GMAC  {state}")
    return 0


def _drop_strangers(study: str, known: set[str]) -> None:
    """Runs that the study file no longer names would else be collected with the others."""
    for path in paths.runs(study).iterdir():
        if path.is_dir() and path.name not in known:
            shutil.rmtree(path)

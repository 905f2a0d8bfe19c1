"""Reproduce a study: select it in params.yaml and run `dvc repro`, one at a time in a working copy."""

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

from .core import paths
from .core.errors import UserError
from .core.files import write_json
from .core.params import default_study, select_study, shell_safe
from .core.study import Study, load_study, load_yaml, study_path
from .dag import tracked

# Stages that neither train nor need what was trained.
_NO_TRAINING = {"published", "claims", "prepare", "subset", "fit@published", "figure@published"}
_SHIPPED = {"smoke", "cpu", "gpu", "laion"}


def add_arguments(parser) -> None:
    parser.add_argument("targets", nargs="*", metavar="STAGE", help="stages to reproduce (default: all)")
    parser.add_argument("--study", help="study to train: a name or a study file (default: as in params.yaml)")
    parser.add_argument("--force", action="store_true", help="run stages whose inputs have not changed, too")


def run(args) -> int:
    """Return 0, or 2 where a stage failed. Raises UserError before anything is started."""
    from filelock import FileLock, Timeout

    root = paths.project_root()
    if not (root / "dvc.yaml").is_file():
        raise UserError("no dvc.yaml here or above", where=Path.cwd(), mend="run it inside the project's folder")
    path = study_path(args.study or default_study())
    study_file = shell_safe(_relative(path, root), where="study file")
    for target in args.targets:
        shell_safe(target, where="STAGE")
    study = load_study(str(path))
    _check(study, path)
    _check_tracked(path, tracked(root / "dvc.yaml"))
    if not args.targets or not set(args.targets) <= _NO_TRAINING:
        _check_device(study, path)
    paths.cache().mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(paths.cache() / "repro.lock", timeout=0):
            select_study(study.study, study_file)
            forget_the_dead(root / ".dvc" / "tmp" / "rwlock")
            return _dvc_repro(root, args)
    except Timeout:
        raise UserError("another reproduction runs in this working copy", where=root, mend="wait for it or stop it") from None


def _check(study: Study, path: Path) -> None:
    """Refuse at once what a stage would refuse after minutes."""
    from .fit.forms import form_named

    for name in study.fit.forms:
        form_named(name)
    if study.study in _SHIPPED and path.resolve().parent != paths.studies().resolve():
        raise UserError(f"study name {study.study!r} is taken", where=path, mend="give your study a name of its own")
    if study.train.engine == "embedded":
        folder = resources.files("clip_scaling.train") / "architectures"
        known = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
        for entry in study.train.architectures:
            if entry.name not in known:
                raise UserError(f"unknown architecture {entry.name!r}", where=path, mend=f"known: {', '.join(known)}")


def _check_tracked(path: Path, fields: dict[str, list[str]]) -> None:
    """DVC can only watch what is stated: a field with a default has to stand in the file, or a change of it goes unseen."""
    content = load_yaml(path)
    for field in dict.fromkeys(field for stage in fields.values() for field in stage):
        value = content
        for part in field.split("."):
            if part not in value:
                section, _, name = field.rpartition(".")
                raise UserError(f"{field} is not stated, so that a change of it would go unseen", where=path,
                                mend=f"add `{name}:` to section {section}, with `null` or `[]` for none")
            value = value[part]


def _check_device(study: Study, path: Path) -> None:
    """Refuse a study for a GPU where there is none, unless all its runs are finished already."""
    if study.train.engine != "embedded" or study.train.precision == "fp32":
        return
    from .train.finished import is_finished
    from .train.spec import run_specs

    try:
        if all(is_finished(spec) for spec in run_specs(study)):
            return
    except UserError:
        pass  # no data yet: nothing is finished
    from .train.device import pick_device

    try:
        pick_device(None, study.train.precision)
    except UserError as error:
        mend = "train it where there is one (`clip-scaling travel --help`), or reproduce another study"
        raise UserError(f"study {study.study} is trained on a GPU: {error.what}", where=path, mend=mend) from None


def _relative(path: Path, root: Path) -> str:
    path = path.resolve()
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else str(path)


def forget_the_dead(path: Path) -> None:
    """Drop what killed processes hold in DVC's lock file.

    DVC drops those of processes that are gone, but waits for a zombie that nobody reaps (in a container, say), and for
    another program that has got the number since.
    """
    try:
        locked = json.loads(path.read_text(encoding="utf-8"))
        kept = {"read": {}, "write": {}}
        for place, holders in locked["read"].items():
            kept["read"][place] = [holder for holder in holders if _runs_dvc(holder["pid"])]
        for place, holder in locked["write"].items():
            kept["write"][place] = holder if holder and _runs_dvc(holder["pid"]) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # no lock, or one that DVC has to judge
    kept = {mode: {place: held for place, held in places.items() if held} for mode, places in kept.items()}
    if kept != locked:
        write_json(path, kept)


def _runs_dvc(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(int(pid))
        return process.status() != psutil.STATUS_ZOMBIE and any("dvc" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _dvc_repro(root: Path, args) -> int:
    environment = dict(os.environ)
    # The stages call `clip-scaling`: the one of this environment, whether or not it is activated.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment["OMP_NUM_THREADS"] = "1"  # two threads each on two cores make torch processes wait for each other
    environment.setdefault("DVC_NO_ANALYTICS", "1")
    command = [sys.executable, "-m", "dvc", "repro", *(["--force"] if args.force else []), *args.targets]
    process = subprocess.Popen(command, cwd=root, env=environment)
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # dvc got it too and stops its stage; wait until it has
            continue
    if code:
        print("clip-scaling repro: a stage did not finish; the same command goes on from there", file=sys.stderr)
    return 2 if code else 0

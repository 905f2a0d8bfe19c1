"""What is done of a study, in one file: records, loss curves, evaluations, and what the next part goes on from.

The weights of an evaluated run stay where they are; their hash travels, by which evaluation and run are matched.
"""

import itertools
import math
import sys
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.study import Study
from ..train.checkpoint import newest
from ..train.finished import folder, is_finished, status
from ..train.models import LEFT_BEHIND, MODEL_FILES, model_digest
from ..train.spec import RunSpec
from . import archive

MEND = "name the progress file of a part, `clip-scaling travel part --progress FILE`"


def save(target: Path, study: Study, specs: list[RunSpec], *, limit: int | None = None) -> None:
    """Write the progress file. What exceeds `limit` bytes is left out, the largest first, and its run begins again."""
    light, heavy = [], []
    for path in sorted((paths.cache() / "evaluations").glob("*.json")):
        light.append([(f"evaluations/{path.name}", path)])
    for spec in {spec.digest: spec for spec in specs}.values():
        (light if is_finished(spec) and is_evaluated(study, spec) else heavy).append(_members(study, spec))
    room = math.inf if limit is None else limit - sum(map(_size, light))
    kept = light
    for members in sorted(filter(None, heavy), key=_size):  # of a run that has not begun there is nothing
        room -= _size(members)
        if room < 0:
            print(f"{target}: {members[-1][0]} is left out, it exceeds the limit", file=sys.stderr)
        else:
            kept.append(members)
    with archive.written(target, compressed=False) as tar:
        for name, content in itertools.chain.from_iterable(kept):
            tar.add(name, content)
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MiB")


def _size(members: list[tuple[str, bytes | Path]]) -> int:
    return sum(len(content) if isinstance(content, bytes) else content.stat().st_size for _, content in members)


def _members(study: Study, spec: RunSpec) -> list[tuple[str, bytes | Path]]:
    """What travels of a run, that which vouches for the rest last."""
    if not is_finished(spec):
        found = newest(paths.cache() / "checkpoints" / spec.digest)
        return [(f"checkpoints/{spec.digest}/{path.name}", path) for path in found]
    run, members = folder(spec), []
    if status(spec) == "finished":
        if is_evaluated(study, spec):
            members.append((f"runs/{spec.digest}/{LEFT_BEHIND}", model_digest(run).encode()))
        else:
            members += [(f"runs/{spec.digest}/{name}", run / name) for name in MODEL_FILES]
    return members + [(f"runs/{spec.digest}/{name}", run / name) for name in ("loss.csv", "timing.json", "record.json")]


def is_evaluated(study: Study, spec: RunSpec) -> bool:
    """Whether the scores of a finished run are kept; a failed one has none to wait for."""
    from ..evaluate.grid import Job, kept_path

    if status(spec) != "finished":
        return True
    return kept_path(Job(study, spec.run, folder(spec), paths.evaluations(study.study) / f"{spec.run}.csv")).is_file()


def load(source: Path, study: str) -> None:
    """Take in a progress file: a run finished here stays, a checkpoint stands beside those here. Raises UserError."""
    here = {path.parent.name for path in (paths.cache() / "runs").glob("*/record.json")}
    try:
        for name, content in archive.contents(source, MEND, lambda name: archive.place(name, study)):
            target = archive.place(name, study)
            if not (name.startswith("runs/") and target.parent.name in here):
                archive.put(target, content)
    except ValueError as error:
        raise UserError(f"is no progress of study {study} ({error})", where=source, mend=MEND) from None

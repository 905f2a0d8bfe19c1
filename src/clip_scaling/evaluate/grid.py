"""Every run of a study, on every task it names, in persistent single-threaded processes."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import active_children, get_context
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path, digest, read_json, write_json
from ..core.schema import SCORES, write_table
from ..core.study import Study
from .score import Score

MIXES = ["study", "run", "alpha", "role", "dataset", "value", "chosen"]  # columns of patching
OPTIONAL = ("fashion-mnist",)  # there only where the user's machine has it; prepare says so


@dataclass(frozen=True)
class Job:
    """One run and where its scores go."""

    study: Study
    run: str
    folder: Path
    target: Path

    @property
    def mixes(self) -> Path:
        """Where the mixes of patching go, for the runs that are patched."""
        return self.target.parent / "patching" / self.target.name


def jobs(study: Study, only: list[str] | None = None) -> list[Job]:
    """Jobs of the study's runs, or of those named. Raises UserError for an unknown or untrained run."""
    names = [run.run_id for run in study.train.runs]
    for name in only or []:
        if name not in names:
            raise UserError(f"unknown run {name!r} of study {study.study}", mend=f"known: {', '.join(names)}")
    found = []
    for name in only or names:
        folder = paths.runs(study.study) / name
        if not (folder / "record.json").is_file():
            raise UserError("is not trained", where=folder, mend="run `clip-scaling train` first")
        found.append(Job(study, name, folder, paths.evaluations(study.study) / f"{name}.csv"))
    return found


def evaluate_runs(todo: list[Job], *, workers: int, deadline: float | None = None) -> bool:
    """Evaluate the jobs, `workers` at a time. False where `deadline` (monotonic seconds) cut it short.

    A job that fails ends the stage with its own error.
    """
    from tqdm import tqdm

    if deadline is None and (workers == 1 or len(todo) == 1):
        for job in tqdm(todo, desc="evaluate", unit="run"):
            evaluate_run(job)
        return True
    if deadline is not None and time.monotonic() >= deadline:
        return False
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when the processes import torch
        os.environ[name] = "1"
    before = active_children()
    pool = ProcessPoolExecutor(min(workers, len(todo)), mp_context=get_context("spawn"), initializer=_one_thread)
    with pool, tqdm(total=len(todo), desc="evaluate", unit="run") as bar:
        try:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            for future in as_completed([pool.submit(evaluate_run, job) for job in todo], timeout=left):
                future.result()
                bar.update()
        except TimeoutError:  # of as_completed: what a job has kept of its tasks so far stays
            _stop(pool, before)
            return False
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return True


def _stop(pool: ProcessPoolExecutor, before: list) -> None:
    """End the pool's processes at once; files are written whole or not at all."""
    started = [child for child in active_children() if child not in before]
    pool.shutdown(wait=False, cancel_futures=True)
    for child in started:
        child.kill()


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def evaluate_run(job: Job) -> None:
    """Write the scores of one run; a run that did not finish has none, and its file only the header.

    What was computed from this model and these sets before is read back, even where the weights are elsewhere.
    """
    import pandas as pd

    scores, mixes = [], []
    if read_json(job.folder / "record.json").get("status") == "finished":
        path = kept_path(job)
        if not path.is_file():
            found, mixes = _scores(job)
            write_json(path, {"scores": [asdict(score) for score in found], "mixes": mixes})
        kept = read_json(path)
        scores, mixes = [Score(**row) for row in kept["scores"]], kept["mixes"]
    rows = [score.row(job.study.study, job.run) for score in scores]
    write_table(pd.DataFrame(rows, columns=SCORES.names), job.target, SCORES)
    if mixes:
        frame = pd.DataFrame([{"study": job.study.study, "run": job.run, **mix} for mix in mixes], columns=MIXES)
        with atomic_path(job.mixes) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")


def kept_path(job: Job) -> Path:
    """Where the scores of a run are kept, by the content of its model and of all that it is evaluated on."""
    from . import tasks, transfer
    from ..train.models import model_digest

    section = job.study.evaluate
    plan = {"zeroshot": section.zeroshot, "retrieval": section.retrieval, "linear_probe": section.linear_probe}
    recipe = None
    if job.run in section.fine_tune.runs:
        recipe = section.fine_tune.model_dump(exclude={"runs"})
        plan["fine_tune"] = [*_transfer_sets(section.fine_tune)]
    sets = {task: [[folder.name, tasks.content(folder)] for folder in _folders(job.study.study, names)]
            for task, names in plan.items()}
    content = ["run", model_digest(job.folder), sets, recipe, tasks.VERSION, transfer.VERSION]
    return paths.cache() / "evaluations" / f"{digest(content)}.json"


def _transfer_sets(section) -> list[str]:
    return [name for name in (section.task, *section.shifts, *section.joint, section.control) if name]


def _scores(job: Job) -> tuple[list, list]:
    """Scores, and mixes of patching, of one run."""
    from . import tasks
    from .model import from_run

    section, model = job.study.evaluate, from_run(job.folder)
    plan: list[tuple[Callable, list[str]]] = [
        (tasks.zeroshot, section.zeroshot),
        (tasks.retrieval, section.retrieval),
        (tasks.linear_probe, section.linear_probe),
    ]
    scores = [
        score
        for task, names in plan
        for folder in _folders(job.study.study, names)
        for score in tasks.kept(task, model, folder)
    ]
    if job.run not in section.fine_tune.runs:
        return scores, []
    outcome = _transfer(job.study, model)
    return scores + outcome.scores, outcome.mixes


def _transfer(study: Study, model):
    from .finetune import Recipe
    from .transfer import Transfer, transfer

    section = study.evaluate.fine_tune
    task, control = (_folders(study.study, [name] if name else []) for name in (section.task, section.control))
    plan = Transfer(
        task=task[0], shifts=tuple(_folders(study.study, section.shifts)),
        joint=tuple(_folders(study.study, section.joint)), control=control[0] if control else None,
    )
    return transfer(model, plan, Recipe(section.iterations, section.batch_size))


def _folders(study: str, names: list[str]) -> list:
    from .folder import open_folder

    where = paths.pool(study) / "evaluation"
    return [open_folder(where / name) for name in names if name not in OPTIONAL or (where / name).is_dir()]

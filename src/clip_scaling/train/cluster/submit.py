"""Submit what is missing, wait, collect: on SLURM as job arrays (submitit), on this machine a few runs at a time."""

import contextlib
import io
import itertools
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ...core import paths
from ...core.errors import UserError
from ...core.files import write_json
from ...core.json_files import read_json
from ...core.study import Study
from .arguments import SAID, worker_arguments
from .attempts import read_diary
from .collect import Prepared, collect, expect_shards, is_finished, is_trained, pairs_of, prepare
from .job import TrainJob
from .plan import Plan

_POLL_SECONDS = {"slurm": 10.0, "local": 1.0}
_SIGNAL_DELAY_SECONDS = 120  # the announcement before a time limit: torchrun needs some seconds to stop


def train(study: Study, plans: list[Plan], *, executor: str, at_a_time: int = 1, wait: bool = True,
          allow_pipe: bool = False, poll: float | None = None, given: str | None = None) -> int:
    """Train and collect `plans`; 0 when all are published, 3 when some are left (the same command goes on).

    Runs that stand in the queue already are waited for, not submitted again. Raises UserError before anything is
    submitted where data are missing, the executor is not there or cannot do what is asked, or another command trains
    the same runs on this machine; and after all else is done where a run failed.
    """
    queue = _Slurm(study, allow_pipe) if executor == "slurm" else _Local(study, allow_pipe)
    queue.refuse(plans, at_a_time, wait)
    jobs = [prepare(study, plan, given=given) for plan in plans]
    for job in jobs:
        if is_trained(job) or is_finished(job):
            collect(study, job)
    missing = [job for job in jobs if not is_finished(job)]
    for job in missing:
        expect_shards(job.places.manifest, allow_pipe)
    with queue.alone(missing):
        _follow(study, missing, queue, at_a_time if executor == "local" else len(jobs) or 1, wait,
                poll or _POLL_SECONDS[executor])
    left = [job for job in jobs if not is_finished(job)]
    if left and wait:
        reason = _reason(queue.log(left[0]))
        raise UserError(f"{len(left)} of {len(jobs)} runs did not finish: {', '.join(job.run for job in left)}{reason}",
                        where=queue.log(left[0]),
                        mend="read the log there; the same command goes on at the last checkpoints")
    _say_pairs(jobs)
    if left:
        print(f"{len(jobs) - len(left)} of {len(jobs)} runs are finished; the same command goes on", file=sys.stderr)
    return 3 if left else 0


def _say_pairs(jobs: list[Prepared]) -> None:
    """What the finished runs read and passed over, a line each."""
    for job in filter(is_finished, jobs):
        if found := pairs_of(job):
            print(f"{job.run}: {found}", file=sys.stderr)


def _reason(log: Path) -> str:
    """What the worker said in its log before it ended, if it did."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    said = [line.removeprefix(SAID) for line in lines if line.startswith(SAID)]
    return f" ({said[-1]})" if said else ""


def _follow(study: Study, missing: list[Prepared], queue: "_Slurm | _Local", at_a_time: int, wait: bool,
            poll: float) -> None:
    """Keep `at_a_time` jobs in the queue until none is left, collecting each as it ends."""
    from tqdm import tqdm

    running = [job for job in missing if queue.holds(job)]
    waiting = [job for job in missing if job not in running]
    with tqdm(total=sum(job.plan.epochs for job in missing), unit="epoch", disable=None, desc="training") as bar:
        try:
            while waiting or running:
                room = max(0, at_a_time - len(running))
                queue.submit(waiting[:room])
                running, waiting = running + waiting[:room], waiting[room:]
                if not wait:
                    return
                time.sleep(poll)
                for job in [job for job in running if not queue.holds(job)]:
                    running.remove(job)
                    if is_trained(job):
                        collect(study, job)
                bar.n = sum(read_diary(job.places.folder / "attempts.jsonl").epoch for job in missing)
                bar.refresh()
        except BaseException:
            queue.leave(running)
            raise


class _Queue:
    """Jobs by run, and our own note of which job trains what."""

    def __init__(self, study: Study, allow_pipe: bool):
        self._study, self._allow_pipe = study, allow_pipe
        self._folder = paths.cache() / "cluster" / "jobs" / study.study

    def alone(self, jobs: list[Prepared]) -> contextlib.AbstractContextManager:
        """Held while `jobs` are trained."""
        return contextlib.nullcontext()

    def _job(self, job: Prepared) -> TrainJob:
        arguments = worker_arguments(self._study, job.plan, job.places, allow_pipe=self._allow_pipe)
        on_cpu = self._study.train.cluster.device == "cpu"
        return TrainJob(job.run, arguments, job.plan.nodes, job.plan.gpus_per_node, on_cpu)

    def log(self, job: Prepared) -> Path:
        """The error output of a run's job, or the folder of all logs where there is none."""
        name = f"{note['job']}_0_log.err" if (note := _noted(job)) else ""
        return self._folder / name if (self._folder / name).is_file() else self._folder


class _Slurm(_Queue):
    """A SLURM cluster, through submitit."""

    def refuse(self, plans: list[Plan], at_a_time: int, wait: bool) -> None:
        if shutil.which("sbatch") is None:
            raise UserError("no sbatch on this machine", mend="log in to a SLURM cluster, or try --executor local")

    def submit(self, jobs: list[Prepared]) -> None:
        """One array for each shape (nodes x GPUs). Raises UserError where sbatch refuses."""
        shape: Callable = lambda job: (job.plan.nodes, job.plan.gpus_per_node)  # noqa: E731
        for (nodes, per_node), group in itertools.groupby(sorted(jobs, key=shape), key=shape):
            group = list(group)
            executor = self._made(nodes, per_node)
            with _sbatch_in_a_sentence(), executor.batch():
                submitted = [executor.submit(self._job(job)) for job in group]
            for job, handle in zip(group, submitted, strict=True):
                write_json(_note(job), {"job": handle.job_id, "executor": "slurm"})

    def _made(self, nodes: int, per_node: int):
        import submitit

        cluster = self._study.train.cluster
        executor = submitit.AutoExecutor(folder=self._folder, cluster="slurm",
                                         slurm_max_num_timeout=cluster.requeues)
        asked = {
            "cpus_per_task": cluster.cpus_per_task or per_node * (cluster.workers + 1), "mem_gb": cluster.memory_gb,
            "gpus_per_node": None if cluster.device == "cpu" else per_node,
            "slurm_partition": cluster.partition, "slurm_account": cluster.account, "slurm_qos": cluster.qos,
            "slurm_setup": list(cluster.setup) or None, "slurm_signal_delay_s": _SIGNAL_DELAY_SECONDS,
        }
        executor.update_parameters(
            name=f"clip-{self._study.study}"[:40], nodes=nodes, tasks_per_node=1,
            timeout_min=cluster.time_limit_minutes,
            **{name: value for name, value in asked.items() if value is not None},
        )
        return executor

    def holds(self, job: Prepared) -> bool:
        """Whether a job of ours waits or runs for this run."""
        note = _noted(job)
        return note is not None and note["executor"] == "slurm" and note["job"] in _queued()

    def leave(self, running: list[Prepared]) -> None:
        """What SLURM has goes on."""
        if running:
            print(f"{len(running)} jobs stay in the queue (scancel ends them)", file=sys.stderr)


class _Local(_Queue):
    """This machine, for a trial: runs end with the command that started them."""

    def __init__(self, study: Study, allow_pipe: bool):
        super().__init__(study, allow_pipe)
        self._running: dict[str, TrainJob] = {}

    def refuse(self, plans: list[Plan], at_a_time: int, wait: bool) -> None:
        if at_a_time < 1:
            raise UserError(f"--workers {at_a_time} trains nothing", mend="give 1 or more")
        if not wait:
            raise UserError("--no-wait does not go with --executor local, whose runs end with the command",
                            mend="leave one of the two out")
        for plan in plans:
            if plan.nodes > 1:
                raise UserError(f"{plan.nodes} nodes, and --executor local has one", where=f"run {plan.run}",
                                mend=f"set gpus to {plan.gpus_per_node} or less, or take --executor slurm")

    @contextlib.contextmanager
    def alone(self, jobs: list[Prepared]) -> Iterator[None]:
        """One command a run folder: two trainers would overwrite each other's checkpoints. SIGTERM ends the runs."""
        from filelock import FileLock, Timeout

        with contextlib.ExitStack() as held:
            for job in jobs:
                job.places.folder.mkdir(parents=True, exist_ok=True)
                try:
                    held.enter_context(FileLock(job.places.folder / "train.lock", timeout=0))
                except Timeout:
                    raise UserError("another command trains this run", where=f"run {job.run}",
                                    mend="wait for it, or end it") from None
            if threading.current_thread() is threading.main_thread():  # no other can set handlers
                held.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _end))
            yield

    def submit(self, jobs: list[Prepared]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for job in jobs:
            name = f"{job.run}-{time.strftime('%Y%m%dT%H%M%S')}"
            write_json(_note(job), {"job": name, "executor": "local"})
            self._running[job.digest] = trainer = self._job(job)
            with (open(self._folder / f"{name}_0_log.out", "wb") as out,
                  open(self._folder / f"{name}_0_log.err", "wb") as err):
                trainer.start(stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def holds(self, job: Prepared) -> bool:
        trainer = self._running.get(job.digest)
        return trainer is not None and trainer.is_running

    def leave(self, running: list[Prepared]) -> None:
        for job in running:
            if trainer := self._running.get(job.digest):
                trainer.stop()


def _end(number: int, _frame) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _sbatch_in_a_sentence() -> Iterator[None]:
    from submitit.core.utils import FailedJobError

    try:
        # submitit prints what sbatch said before it raises; the sentence says it, too.
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    except FailedJobError as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise UserError(f"sbatch refused the jobs ({lines[-1].removeprefix('sbatch: ')})", where="train.cluster",
                        mend="mend partition, account, qos, gpus_per_node or time_limit_minutes in the study file"
                        ) from None


def _note(job: Prepared) -> Path:
    return job.places.folder / "job.json"


def _noted(job: Prepared) -> dict | None:
    """Our note of the job that trains a run, or None. Raises UserError where it does not name one."""
    if not _note(job).is_file():
        return None
    mend = "remove it once no job of this run waits or runs"
    note = read_json(_note(job), kind=dict, mend=mend)
    if not all(isinstance(note.get(name), str) for name in ("job", "executor")):
        raise UserError("names no job", where=_note(job), mend=mend)
    return note


def _queued() -> set[str]:
    """Names of this user's jobs that wait or run, arrays element by element; asked of squeue, which every site has."""
    told = subprocess.run(["squeue", "--me", "--noheader", "--array", "--format=%i"], capture_output=True, text=True)
    if told.returncode:
        raise UserError(f"squeue failed ({told.stderr.strip()})", mend="run the same command again; jobs go on")
    return set(told.stdout.split())

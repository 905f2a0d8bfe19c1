"""Submit what is missing, wait, collect: on SLURM as job arrays, on this machine a few runs at a time."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ...core import paths
from ...core.errors import UserError
from ...core.files import read_json, write_json
from ...core.study import Study
from .arguments import worker_arguments
from .attempts import read_diary
from .collect import Prepared, collect, is_finished, is_trained, prepare
from .job import TrainJob
from .plan import Plan

_POLL_SECONDS = {"slurm": 10.0, "local": 1.0}
_SIGNAL_DELAY_SECONDS = 120  # the announcement before a time limit: torchrun needs some seconds to stop


def train(study: Study, plans: list[Plan], *, executor: str, at_a_time: int = 1, wait: bool = True,
          allow_pipe: bool = False, poll: float | None = None) -> int:
    """Train and collect `plans`; 0 when all are published, 3 when some are left (the same command goes on).

    Runs that stand in the queue already are waited for, not submitted again. Raises UserError before anything is
    submitted where data are missing or the executor is not there, and after all else is done where a run failed.
    """
    jobs = [prepare(study, plan) for plan in plans]
    queue = _Queue(study, executor, allow_pipe)
    for job in jobs:
        if is_trained(job) or is_finished(job):
            collect(study, job)
    missing = [job for job in jobs if not is_finished(job)]
    _follow(study, missing, queue, at_a_time if executor == "local" else len(jobs) or 1, wait,
            poll or _POLL_SECONDS[executor])
    left = [job for job in jobs if not is_finished(job)]
    if left and wait:
        raise UserError(f"{len(left)} of {len(jobs)} runs did not finish: {', '.join(job.run for job in left)}",
                        where=queue.log(left[0]),
                        mend="read the log there; the same command goes on at the last checkpoints")
    if left:
        print(f"{len(jobs) - len(left)} of {len(jobs)} runs are finished; the same command goes on", file=sys.stderr)
    return 3 if left else 0


def _follow(study: Study, missing: list[Prepared], queue: "_Queue", at_a_time: int, wait: bool, poll: float) -> None:
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
        except KeyboardInterrupt:
            queue.leave(running)
            raise


class _Queue:
    """Jobs by run: submitit's executors, and our own note of which job trains what."""

    def __init__(self, study: Study, executor: str, allow_pipe: bool):
        if executor == "slurm" and not _has("sbatch"):
            raise UserError("no sbatch on this machine", mend="log in to a SLURM cluster, or try --executor local")
        self._study, self._executor, self._allow_pipe = study, executor, allow_pipe
        self._folder = paths.cache() / "cluster" / "jobs" / study.study
        self._local: dict[str, object] = {}

    def submit(self, jobs: list[Prepared]) -> None:
        """One array for each shape (nodes x GPUs)."""
        shape: Callable = lambda job: (job.plan.nodes, job.plan.gpus_per_node)  # noqa: E731
        for (nodes, per_node), group in itertools.groupby(sorted(jobs, key=shape), key=shape):
            group = list(group)
            executor = self._made(nodes, per_node)
            with executor.batch():
                submitted = [executor.submit(self._job(job)) for job in group]
            for job, handle in zip(group, submitted, strict=True):
                write_json(_note(job), {"job": handle.job_id, "executor": self._executor})
                self._local[job.digest] = handle

    def _job(self, job: Prepared) -> TrainJob:
        arguments = worker_arguments(self._study, job.plan, job.places, allow_pipe=self._allow_pipe)
        on_cpu = self._study.train.cluster.device == "cpu"
        return TrainJob(job.run, arguments, job.plan.nodes, job.plan.gpus_per_node, on_cpu)

    def _made(self, nodes: int, per_node: int):
        import submitit

        cluster = self._study.train.cluster
        own = {"slurm_max_num_timeout": cluster.requeues} if self._executor == "slurm" else {}
        executor = submitit.AutoExecutor(folder=self._folder, cluster=self._executor, **own)
        executor.update_parameters(
            name=f"clip-{self._study.study}"[:40], nodes=nodes, tasks_per_node=1,
            timeout_min=cluster.time_limit_minutes,
            **({} if cluster.device == "cpu" else {"gpus_per_node": per_node}),
            **(self._slurm(per_node) if self._executor == "slurm" else {}),
        )
        return executor

    def _slurm(self, per_node: int) -> dict:
        cluster = self._study.train.cluster
        asked = {
            "cpus_per_task": cluster.cpus_per_task or per_node * (cluster.workers + 1), "mem_gb": cluster.memory_gb,
            "slurm_partition": cluster.partition, "slurm_account": cluster.account, "slurm_qos": cluster.qos,
            "slurm_setup": list(cluster.setup) or None, "slurm_signal_delay_s": _SIGNAL_DELAY_SECONDS,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def holds(self, job: Prepared) -> bool:
        """Whether a job of ours waits or runs for this run."""
        if handle := self._local.get(job.digest):
            if self._executor == "local":
                return not handle.done()
        if self._executor == "local" or not _note(job).is_file():
            return False
        note = read_json(_note(job))
        return note["executor"] == "slurm" and note["job"] in _queued()

    def log(self, job: Prepared) -> Path:
        """The error output of a run's job, or the folder of all logs where there is none."""
        name = f"{read_json(_note(job))['job']}_0_log.err" if _note(job).is_file() else ""
        return self._folder / name if (self._folder / name).is_file() else self._folder

    def leave(self, running: list[Prepared]) -> None:
        """On Ctrl-C: end what runs on this machine; leave what SLURM has."""
        for job in running if self._executor == "local" else ():
            if handle := self._local.get(job.digest):
                handle.cancel(check=False)
        if self._executor == "slurm" and running:
            print(f"{len(running)} jobs stay in the queue (scancel ends them)", file=sys.stderr)


def _note(job: Prepared) -> Path:
    return job.places.folder / "job.json"


def _queued() -> set[str]:
    """Names of this user's jobs that wait or run, arrays element by element; asked of squeue, which every site has."""
    told = subprocess.run(["squeue", "--me", "--noheader", "--array", "--format=%i"], capture_output=True, text=True)
    if told.returncode:
        raise UserError(f"squeue failed ({told.stderr.strip()})", mend="run the same command again; jobs go on")
    return set(told.stdout.split())


def _has(program: str) -> bool:
    import shutil

    return shutil.which(program) is not None

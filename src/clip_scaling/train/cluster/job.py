"""One run as a job: what submitit carries to the node, starts there, stops in time and sends back to the queue."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field

from .arguments import WORKER, torchrun_arguments

_GRACE_SECONDS = 20
# The trainer would take these for its own ranks; torchrun sets the right ones.
_MISLEADING = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_NPROCS", "RANK", "LOCAL_RANK", "WORLD_SIZE")


@dataclass
class TrainJob:
    """Runs torchrun on this node; called again after a requeue, the trainer goes on at its last checkpoint."""

    run: str
    arguments: list[str]
    nodes: int
    per_node: int
    on_cpu: bool = False
    _process: subprocess.Popen | None = field(default=None, repr=False)

    def __call__(self) -> int:
        """Return 0; raises RuntimeError where torchrun failed."""
        try:
            code = self.start().wait()
        finally:
            self.stop()
        if code:
            raise RuntimeError(f"run {self.run}: torchrun ended with exit code {code}; its output stands above")
        return 0

    def start(self, **streams) -> subprocess.Popen:
        """Start torchrun; `streams` as Popen takes them."""
        meeting = torchrun_arguments(self.nodes, self.per_node, head=_head_node(self.nodes),
                                     job=os.environ.get("SLURM_JOB_ID", "local"))
        command = [sys.executable, "-m", "torch.distributed.run", *meeting, "-m", "--", WORKER, *self.arguments]
        # A session of its own: the signal that announces the end of the allocation, or Ctrl-C, is for this process
        # alone, which then ends the trainer in an orderly way.
        self._process = subprocess.Popen(command, env=self._environment(), start_new_session=True, **streams)
        return self._process

    def checkpoint(self):
        """Called by submitit when time is up or a pre-emption announced: stop, and ask for another turn."""
        import submitit

        self.stop()
        return submitit.helpers.DelayedSubmission(
            TrainJob(self.run, self.arguments, self.nodes, self.per_node, self.on_cpu)
        )

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End torchrun and what it started: asked first, after 20 seconds told."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
                return

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
        environment.setdefault("OMP_NUM_THREADS", "1")
        if self.on_cpu:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        return environment


def _head_node(nodes: int) -> str:
    """The first node of the allocation."""
    if nodes == 1:
        return "localhost"
    names = subprocess.run(["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]],
                           check=True, capture_output=True, text=True).stdout.split()
    return names[0]

"""A SLURM controller on this machine, in a folder of its own: munged, slurmctld and slurmd, as root, ended on exit.

`python tests/slurm/controller.py COMMAND ...` runs COMMAND with that cluster in its environment (SLURM_CONF).
Needs Debian's slurm-wlm and munge. Nothing under /etc is read or written, and no service of the system is touched.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")

# cred_expire: a requeued job waits that long for its old credentials to expire; the default is two minutes.
_CONFIGURATION = """\
ClusterName=trial
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
JobRequeue=1
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
MinJobAge=30
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=trial Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


def missing_programs() -> list[str]:
    """What is not installed, munged and the daemons in /usr/sbin included."""
    return [name for name in PROGRAMS if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextlib.contextmanager
def controller() -> Iterator[dict[str, str]]:
    """Start the cluster; yields the environment that its commands need. Raises RuntimeError if it does not come up."""
    folder = Path(tempfile.mkdtemp(prefix="clip-slurm-"))
    folder.chmod(0o755)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    daemons: list[subprocess.Popen] = []
    try:
        _configure(folder)
        socket_path = f"{folder}/munge.socket"
        daemons.append(_start(
            ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={socket_path}",
             f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed"],
            environment, folder,
        ))
        _until(lambda: Path(socket_path).exists(), "munged", folder)
        daemons.append(_start(["slurmctld", "-D"], environment, folder))
        daemons.append(_start(["slurmd", "-D"], environment, folder))
        _until(lambda: "idle" in _output(["sinfo", "--noheader", "--format=%t"], environment), "slurmd", folder)
        yield environment
    finally:
        if daemons:
            _output(["scancel", "--user=root"], environment)
            with contextlib.suppress(RuntimeError):  # jobs get five seconds between SIGTERM and SIGKILL
                _until(lambda: not _output(["squeue", "--noheader"], environment).strip(), "the end", folder, 20)
        for process in reversed(daemons):
            process.terminate()
        for process in reversed(daemons):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = [first.getsockname()[1], second.getsockname()[1]]
    host = socket.gethostname().split(".")[0]
    text = _CONFIGURATION.format(folder=folder, host=host, ports=ports, cpus=os.cpu_count())
    (folder / "slurm.conf").write_text(text, encoding="utf-8")


def _start(command: list[str], environment: dict, folder: Path) -> subprocess.Popen:
    with open(folder / f"{command[0]}.out", "wb") as out:
        return subprocess.Popen([_program(command[0]), *command[1:]], env=environment, stdout=out, stderr=out)


def _output(command: list[str], environment: dict) -> str:
    return subprocess.run([_program(command[0]), *command[1:]], env=environment, capture_output=True, text=True).stdout


def _until(condition, what: str, folder: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            told = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.[lo][ou][gt]"))
            raise RuntimeError(f"{what} did not come up in {seconds:g} s\n{told}")
        time.sleep(0.2)


if __name__ == "__main__":
    if lacking := missing_programs():
        sys.exit(f"not installed: {', '.join(lacking)}; apt-get install slurm-wlm munge")
    with controller() as variables:
        sys.exit(subprocess.run(sys.argv[1:], env=variables).returncode)

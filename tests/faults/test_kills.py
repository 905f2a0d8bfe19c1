"""kill -9 in every stage: the next `make repro` ends with the tables of an undisturbed one."""

import os
import random
import signal
import subprocess
import threading
import time

import pytest

from workspace import STAGES, command, copy_project, environment, repro, tables

pytestmark = pytest.mark.faults
# Seconds into a stage at which it is killed at the latest: the others, short as they are, would be done by then.
LATEST = {"train": 3.0, "evaluate": 4.0, "figure@study": 4.0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, root):
    folder = copy_project(root, tmp_path_factory.mktemp("undisturbed"))
    done = repro(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return tables(folder)


def kill_in(folder, stage: str, sig: int, *targets: str, patience: float = 300.0) -> bool:
    """Start a reproduction, of all or of `targets`, and end its whole process group a little after `stage` began.

    False where it never began, or was done before the signal came: then nothing was killed.
    """
    log = folder / "repro.log"
    with open(log, "wb") as output:
        # Where the tests run in the background of a shell, an interrupt is ignored, and children would inherit that.
        process = subprocess.Popen(command(*targets), cwd=folder, env=environment(folder), stdout=output, stderr=output,
                                   start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    end, begun = time.monotonic() + patience, False
    while process.poll() is None and time.monotonic() < end and not begun:
        begun = f"Running stage '{stage}'".encode() in log.read_bytes()
        time.sleep(0.02)
    time.sleep(random.uniform(0.05, LATEST.get(stage, 0.5)))
    if process.poll() is None:
        os.killpg(process.pid, sig)
    else:
        begun = False
    process.wait(timeout=60)
    return begun


def test_kills_lose_nothing(tmp_path, root, undisturbed):
    """One copy, killed once in each stage in turn; what was done before a kill is not done again."""
    random.seed(0)
    folder = copy_project(root, tmp_path)
    (folder / "dvc.lock").unlink()  # or stages that are recorded as done would not run at all
    # Asked for by name: in a whole reproduction, DVC may finish a stage while another is awaited, and none is left to kill.
    killed = [stage for stage in STAGES if kill_in(folder, stage, signal.SIGKILL, stage)]
    done = repro(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert tables(folder) == undisturbed
    assert killed == list(STAGES)


def test_interrupt_is_a_sentence_and_the_next_run_goes_on(tmp_path, root, undisturbed):
    folder = copy_project(root, tmp_path)
    assert kill_in(folder, "train", signal.SIGINT)
    said = (folder / "repro.log").read_text(errors="replace")
    assert "Traceback" not in said and "goes on from" in said
    assert repro(folder).returncode == 0 and tables(folder) == undisturbed


def test_two_at_once_in_one_working_copy(tmp_path, root, undisturbed):
    """The second is refused at once; the first is not disturbed."""
    folder, codes = copy_project(root, tmp_path), []
    first = threading.Thread(target=lambda: codes.append(repro(folder).returncode))
    first.start()
    time.sleep(5)
    second = repro(folder)
    first.join()
    assert second.returncode == 2 and "another reproduction runs" in second.stderr
    assert codes == [0] and tables(folder) == undisturbed


def test_a_clock_that_jumps_back(tmp_path, root, undisturbed):
    """All that a killed run left was written two days from now: no age of a file decides what is done again or used."""
    folder = copy_project(root, tmp_path)
    assert kill_in(folder, "train", signal.SIGKILL)
    later = time.time() + 2 * 86400
    for path in folder.rglob("*"):
        os.utime(path, (later, later), follow_symlinks=False)
    done = repro(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Running stage 'prepare'" not in done.stdout and tables(folder) == undisturbed
    assert "Running stage" not in repro(folder).stdout


@pytest.fixture
def read_only_results(tmp_path, root):
    """A copy whose results cannot be written: by permissions or, for root, on a disk mounted read-only."""
    folder = copy_project(root, tmp_path)
    results = folder / "results"
    if os.geteuid():
        results.chmod(0o555)
        end = lambda: results.chmod(0o755)  # noqa: E731
    else:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", results], capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
        end = lambda: subprocess.run(["umount", results], check=False)  # noqa: E731
    yield folder, end
    end()


def test_read_only_results_are_a_sentence(read_only_results, undisturbed):
    folder, end = read_only_results
    done = repro(folder)
    end()
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Permission denied" in done.stderr or "Read-only file system" in done.stderr
    assert repro(folder).returncode == 0 and tables(folder) == undisturbed

"""A full disk in every stage: one sentence and exit code 2, nothing half-written, and the same command goes on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workspace import copy_project, environment, tables

pytestmark = pytest.mark.faults

# Stage: its words after `clip-scaling`, its out, and how many KiB it finds free, in turn.
STAGES = {
    "prepare": (["prepare", "--study", "smoke", "--workers", "1"], "data/smoke/pool", (0, 48, 400)),
    "subset": (["subset", "--study", "smoke"], "data/smoke/subsets", (0, 48, 400)),
    "train": (["train", "--study", "smoke", "--workers", "1"], "runs/smoke", (0, 300)),
    "evaluate": (["evaluate", "--study", "smoke", "--workers", "1"], "evaluations/smoke", (0, 300)),
    "collect": (["collect", "--study", "smoke"], "results/smoke/scores.csv", (0,)),
    "fit": (["fit", "--study", "smoke"], "results/smoke/laws.csv", (0,)),
    "figure": (["figure", "--study", "smoke"], "figures/smoke", (0, 48)),
    "book": (["book", "--study", "smoke"], "book/_build/html", (0, 400)),
}
SIZE = 400  # MiB


@pytest.fixture(scope="module")
def disk(tmp_path_factory, root):
    """A copy of the project on a small disk of its own."""
    folder = tmp_path_factory.mktemp("disk")
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root on Linux can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.strip()}")
    try:
        copy_project(root, folder)
        for out in ("results/smoke", "figures/smoke"):
            shutil.rmtree(folder / out, ignore_errors=True)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def call(folder: Path, words: list[str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "clip_scaling.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=600)


def fill(folder: Path, kib: int) -> Path:
    """Leave `kib` KiB free; returns the file to remove."""
    ballast = folder / "ballast"
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - kib * 1024)
    return ballast


def half_written(folder: Path) -> list[str]:
    """What no stage may leave behind."""
    found = [*folder.rglob("*.tmp"), *folder.rglob("*.part")]
    return sorted(str(path.relative_to(folder)) for path in found if ".venv" not in path.parts)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, root):
    folder = copy_project(root, tmp_path_factory.mktemp("undisturbed"))
    for stage in ("prepare", "subset", "train", "evaluate", "collect"):
        done = call(folder, STAGES[stage][0])
        assert done.returncode == 0, (stage, done.stderr[-3000:])
    return folder


def catch_up(folder: Path, stage: str) -> None:
    """Run what comes before the stage, where a test alone is asked for."""
    for name in STAGES:
        if name == stage:
            return
        words, out, _ = STAGES[name]
        if not (folder / out).exists():
            done = call(folder, words)
            assert done.returncode == 0, (name, done.stderr[-3000:])


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_a_sentence_and_loses_nothing(disk, stage):
    catch_up(disk, stage)
    words, out, free = STAGES[stage]
    for kib in free:
        ballast = fill(disk, kib)
        done = call(disk, words)
        ballast.unlink()
        said = done.stderr.strip().splitlines()
        assert done.returncode == 2, (kib, done.returncode, done.stderr[-3000:])
        assert "Traceback" not in done.stderr, (kib, done.stderr[-3000:])
        assert said[-1].startswith(f"clip-scaling {stage}: ") and "No space left on device" in said[-1], (kib, said[-5:])
        assert half_written(disk) == [], kib
        assert stage in ("train", "evaluate", "figure") or not (disk / out).exists(), kib  # these keep what is finished
    done = call(disk, words)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (disk / out).exists()


def test_the_tables_are_those_of_a_disk_with_room(disk, undisturbed):
    """What the stages wrote on a later attempt is what they always write."""
    catch_up(disk, "fit")
    for name in ("runs.csv", "scores.csv"):
        assert tables(disk)[name] == tables(undisturbed)[name]
    for out in ("data/smoke/pool", "data/smoke/subsets"):
        files = {path.relative_to(undisturbed): path for path in (undisturbed / out).rglob("*") if path.is_file()}
        assert files
        for name, path in files.items():
            assert (disk / name).read_bytes() == path.read_bytes(), name

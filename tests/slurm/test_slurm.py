"""A job array on a real SLURM controller: two runs, both sent back to the queue in the middle, resumed, collected."""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from clip_scaling.core import paths
from clip_scaling.core.files import read_json
from clip_scaling.train.cluster import run_study
from clip_scaling.train.cluster.attempts import read_diary

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
from cluster_fixture import tiny_study, write_subset  # noqa: E402
from controller import controller, missing_programs  # noqa: E402

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing_programs()), reason="apt-get install slurm-wlm munge"),
    pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="slurmd starts jobs as root only"),
]
EPOCHS = 6


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path / ".cache"))
    with controller() as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        yield tmp_path / ".cache" / "cluster"


def _study():
    runs = [{"architecture": "ViT-XXS-8", "subset": "all", "samples_seen": 2048 * EPOCHS, "epochs": EPOCHS,
             "samples_per_epoch": 2048, "gpus": 1, "seed": seed} for seed in (0, 1)]
    return tiny_study(runs, workers=0)


def _diaries(cluster):
    """Diaries by job name, such as 1_0."""
    return {read_json(note)["job"]: read_diary(note.parent / "attempts.jsonl") for note in cluster.glob("*/job.json")}


def _interrupt(cluster, told):
    """Send one run the signal that announces a pre-emption, and take the other's node away without a word."""
    commands = [["scancel", "--signal=USR2"], ["scontrol", "requeue"]]
    deadline = time.monotonic() + 3600
    while commands and time.monotonic() < deadline:
        for job, diary in sorted(_diaries(cluster).items()):
            if commands and 1 <= diary.epoch < EPOCHS and job not in told:
                told[job] = diary.epoch
                subprocess.run([*commands.pop(0), job], check=True)
        time.sleep(0.2)


def test_two_runs_survive_a_pre_emption_and_a_lost_node(cluster):
    write_subset(shards=4, samples=512)
    told: dict[str, int] = {}
    disturber = threading.Thread(target=_interrupt, args=(cluster, told), daemon=True)
    disturber.start()
    assert run_study(_study(), argparse.Namespace(dry_run=False, runs=None, executor="slurm")) == 0
    disturber.join(5)
    diaries = _diaries(cluster)
    assert len(told) == 2 and {job.split("_")[1] for job in told} == {"0", "1"}, "two elements of one array"
    for job, diary in diaries.items():
        assert diary.attempts == 2 and diary.epoch == EPOCHS, f"{job} was not resumed once"
    for log in cluster.glob("*/ViT*/out.log"):
        assert "=> resuming checkpoint" in log.read_text()
    records = [read_json(path) for path in paths.runs("tiny").glob("*/record.json")]
    assert [record["status"] for record in records] == ["finished"] * 2
    assert {record["samples_seen"] for record in records} == {2048 * EPOCHS}


def test_a_cancelled_run_is_submitted_again_by_the_same_command(cluster):
    write_subset(shards=4, samples=512)
    study = _study()
    options = {"dry_run": False, "runs": [study.train.runs[0].run_id], "executor": "slurm"}
    assert run_study(study, argparse.Namespace(**options, no_wait=True)) == 3
    job = None
    while job is None or _diaries(cluster)[job].epoch < 1:
        job = next(iter(_diaries(cluster)), None)
        time.sleep(0.2)
    assert run_study(study, argparse.Namespace(**options, no_wait=True)) == 3
    assert list(_diaries(cluster)) == [job], "a run that is in the queue is not submitted twice"
    subprocess.run(["scancel", job], check=True)
    while subprocess.run(["squeue", "--noheader", "--array"], capture_output=True, text=True).stdout.strip():
        time.sleep(0.2)
    assert run_study(study, argparse.Namespace(**options)) == 0
    (again, diary), = _diaries(cluster).items()
    assert again != job and diary.attempts == 2 and diary.epoch == EPOCHS

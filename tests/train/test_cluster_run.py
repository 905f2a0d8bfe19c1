"""The cluster engine for real: torchrun, two processes, gloo, through submitit's local executor."""

import argparse
import json
import os
import subprocess
import sys

import pytest
from clip_scaling.core import paths, schema
from clip_scaling.core.errors import UserError
from clip_scaling.train.cluster import run_study

from cluster_fixture import tiny_study, write_subset


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path / ".cache"))
    return tmp_path


def _args(**options):
    return argparse.Namespace(**({"dry_run": False, "runs": None, "executor": "local"} | options))


@pytest.mark.slow
def test_two_processes_train_and_their_weights_come_back(root):
    import pandas as pd
    import torch
    from clip_scaling.train.models import load_model

    write_subset()
    study = tiny_study(tiny_study().model_dump()["train"]["runs"][:1])
    assert run_study(study, _args()) == 0
    folder = paths.runs("tiny") / "ViT-XXS-8_all_512_s0"
    model, tokenizer = load_model(folder)
    features = model.encode_text(tokenizer(["a red square", "a blue square"]))
    assert torch.isfinite(features).all() and not torch.equal(features[0], features[1])
    record, timing = (json.load(open(folder / f"{name}.json")) for name in ("record", "timing"))
    schema.validate(pd.DataFrame([record]), schema.RUNS)
    schema.validate(pd.DataFrame([timing]), schema.TIMINGS)
    assert (record["samples_seen"], record["batch_size"], record["status"]) == (512, 32, "finished")
    assert record["unique_samples"] == 256 and timing["samples_per_second"] > 0
    weights = (folder / "model.safetensors").read_bytes()
    assert run_study(study, _args()) == 0, "a finished run is published again, not trained again"
    assert (folder / "model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_two_nodes_meet_and_train_one_model(root):
    """Two torchruns with the arguments of a run on two nodes, here on one host."""
    from clip_scaling.train.cluster.arguments import WORKER, torchrun_arguments, worker_arguments
    from clip_scaling.train.cluster.collect import collect, prepare
    from clip_scaling.train.cluster.plan import plans

    write_subset()
    study = tiny_study(tiny_study().model_dump()["train"]["runs"][:1], gpus_per_node=1)
    (plan,) = plans(study)
    assert (plan.nodes, plan.gpus_per_node) == (2, 1)
    job = prepare(study, plan)
    command = [sys.executable, "-m", "torch.distributed.run", *torchrun_arguments(2, 1, head="localhost", job="trial"),
               "-m", "--", WORKER, *worker_arguments(study, plan, job.places)]
    nodes = [subprocess.Popen(command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}) for _ in range(2)]
    assert [node.wait(900) for node in nodes] == [0, 0]
    log = (job.places.folder / plan.run / "out.log").read_text()
    assert "total 2" in log
    assert (collect(study, job) / "model.safetensors").is_file()


def test_data_that_are_not_there_are_said_before_anything_is_submitted(root):
    with pytest.raises(UserError, match="subset all is not drawn"):
        run_study(tiny_study(), _args())
    assert not (root / ".cache").exists()


def test_shards_that_are_gone_are_said(root):
    write_subset()
    (paths.subsets("tiny") / "00002.tar").unlink()
    with pytest.raises(UserError, match="1 of 4 shards are not there, such as .*00002.tar"):
        run_study(tiny_study(), _args())


def test_no_slurm_is_said(root, monkeypatch):
    write_subset()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match="no sbatch on this machine"):
        run_study(tiny_study(), _args(executor="slurm"))


def test_too_few_shards_for_the_loaders_are_said(root):
    write_subset(shards=1, samples=256)
    with pytest.raises(UserError, match="1 shards for 2 loader workers"):
        run_study(tiny_study(), _args())


@pytest.mark.slow
def test_a_failed_run_names_its_log(root):
    write_subset()
    study = tiny_study([tiny_study().model_dump()["train"]["runs"][0] | {"precision": "none-such"}])
    with pytest.raises(UserError, match=r"_0_log.err: 1 of 1 runs did not finish: ViT-XXS-8_all_512_s0; read the log"):
        run_study(study, _args())
    assert not paths.runs("tiny").exists()

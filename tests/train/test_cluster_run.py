"""The cluster engine for real: torchrun, two processes, gloo, through submitit's local executor."""

import argparse
import json

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


def test_data_that_are_not_there_are_said_before_anything_is_submitted(root):
    with pytest.raises(UserError, match="subset all is not drawn"):
        run_study(tiny_study(), _args())
    assert not (root / ".cache").exists()


def test_no_slurm_is_said(root, monkeypatch):
    write_subset()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match="no sbatch on this machine"):
        run_study(tiny_study(), _args(executor="slurm"))


def test_too_few_shards_for_the_loaders_are_said(root):
    write_subset(shards=1, samples=256)
    with pytest.raises(UserError, match="1 shards for 2 loader workers"):
        run_study(tiny_study(), _args())

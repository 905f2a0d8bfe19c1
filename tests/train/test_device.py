"""The GPU's way of training, on the CPU: resident data, no waiting for the host, several runs in one process."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clip_scaling.core.errors import UserError
from clip_scaling.train import device, finished
from clip_scaling.train.engine import NonFiniteLoss, Session
from clip_scaling.train.order import Batches
from clip_scaling.train.packed import packed
from clip_scaling.train.resident import ResidentPool, ResidentSession


def _weights(spec) -> dict:
    return load_file(finished.folder(spec) / "model.safetensors")


def test_resident_batches_are_the_hosts(specs):
    pool = ResidentPool("cpu")
    for spec in specs:
        session = ResidentSession(spec, pool)
        host = Batches(packed(spec), seed=spec.seed, batch_size=spec.batch_size, shift=spec.augment_shift)
        for step in (0, 3, spec.steps - 1):
            session._at.fill_(step)
            images, tokens = session._batch()
            expected = host(step)
            assert np.array_equal(images.numpy(), expected.images)
            assert np.array_equal(tokens.numpy()[:, :expected.tokens.shape[1]], expected.tokens)


def test_a_subset_of_a_resident_subset_is_a_view(specs):
    pool = ResidentPool("cpu")
    large, _ = pool.get(specs[0])
    small, _ = pool.get(specs[1])
    assert len(small) == 96 and small.data_ptr() == large.data_ptr()


def test_resident_run_trains_as_the_hosts_does(spec):
    """Equal but for rounding: the text tower is as long as the longest caption of the pool, not of the batch."""
    host, resident = Session(spec), ResidentSession(spec, ResidentPool("cpu"))
    host.advance(12)
    resident.advance(12)
    resident.check()
    np.testing.assert_allclose(resident.losses[:12], host.losses[:12], rtol=1e-4)
    for (name, one), (_, other) in zip(host.model.named_parameters(), resident.model.named_parameters()):
        if not name.endswith("in_proj_bias"):  # a key's bias has no gradient but rounding
            torch.testing.assert_close(one, other, atol=2e-3, rtol=0, msg=name)


def test_several_runs_share_a_device_and_are_recorded(specs):
    assert device.train_all_on("cpu", specs, parallel=2)
    for spec in specs:
        record = json.loads((finished.folder(spec) / "record.json").read_text())
        assert record["status"] == "finished" and record["samples_seen"] == spec.samples_seen


def test_time_that_is_up_saves_and_the_next_part_ends_in_the_same_weights(project, specs, monkeypatch):
    specs = [dataclasses.replace(spec, samples_seen=6400) for spec in specs]
    device.train_all_on("cpu", specs)
    undisturbed = [_weights(spec) for spec in specs]
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(project / "parts"))
    assert not device.train_all_on("cpu", specs, deadline=0.0)
    assert len(list((project / "parts" / "checkpoints").glob("*/*.json"))) == 2
    assert device.train_all_on("cpu", specs)
    for spec, weights in zip(specs, undisturbed):
        again = _weights(spec)
        assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_nan_names_the_step_and_the_others_go_on(specs, capsys, monkeypatch):
    wild = dataclasses.replace(specs[0], learning_rate=1e30, run="wild")
    assert device.train_all_on("cpu", [wild, specs[1]], parallel=2)
    said = capsys.readouterr().err
    assert "run wild: the loss is nan at step" in said
    assert json.loads((finished.folder(wild) / "record.json").read_text())["status"] == "failed"
    assert json.loads((finished.folder(specs[1]) / "record.json").read_text())["status"] == "finished"


def test_the_first_bad_step_is_named(spec):
    session = ResidentSession(spec, ResidentPool("cpu"))
    session.advance(6)
    session.check()
    session.model.visual.proj.data.fill_(float("nan"))
    session.advance(6)
    with pytest.raises(NonFiniteLoss, match="at step 7;"):
        session.check()
    assert session.step == 6


def test_bf16_learns(spec):
    spec = dataclasses.replace(spec, precision="bf16", samples_seen=4800)
    session = ResidentSession(spec, ResidentPool("cpu"))
    session.advance(spec.steps)
    session.check()
    assert session.losses[-15:].mean() < session.losses[:5].mean() - 0.05


def test_device_is_picked_by_precision_and_told_where_missing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.pick_device(None, "fp32") == "cpu" and device.pick_device("cpu", "bf16") == "cpu"
    with pytest.raises(UserError, match="no GPU that torch can use.*--device cpu"):
        device.pick_device(None, "bf16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.pick_device(None, "bf16") == "cuda"


def test_peaks():
    assert device.peak_flops("NVIDIA H200") == 989e12
    assert device.peak_flops("NVIDIA A100-SXM4-40GB") == 312e12
    assert device.peak_flops("a toaster") is None


def test_mfu_is_measured_and_not_made_up():
    speed, share = device.measure_mfu("ViT-XXS-8", batch_size=8, steps=2, device="cpu")
    assert speed > 0 and share is None

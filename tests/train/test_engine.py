"""Exact, resumable, watched."""

import contextlib
import dataclasses
import json
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clip_scaling.train import engine, finished
from clip_scaling.train.engine import Session, Status, train

def _weights(spec) -> dict:
    return load_file(finished.folder(spec) / "model.safetensors")


def _equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _cache(monkeypatch, project, name: str) -> None:
    """A cache of its own, so that nothing is taken from the run before."""
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(project / name))


def test_budget_is_exact_and_the_record_says_so(specs):
    for spec in specs:
        outcome = train(spec)
        assert outcome.status is Status.FINISHED and outcome.samples == spec.samples_seen
        record = json.loads((finished.folder(spec) / "record.json").read_text())
        assert record["samples_seen"] == spec.samples_seen and record["status"] == "finished"
        assert record["unique_samples"] == spec.unique_samples
        curve = np.loadtxt(finished.folder(spec) / "loss.csv", delimiter=",", skiprows=1)
        assert curve[-1, 0] == spec.samples_seen


def test_loss_falls(spec):
    session = Session(dataclasses.replace(spec, samples_seen=6400))
    session.advance(200)
    assert session.losses[-20:].mean() < session.losses[:5].mean() - 0.1


def test_same_specification_same_weights_whatever_the_workers(project, spec, monkeypatch):
    weights = []
    for number, workers in enumerate((0, 0, 1, 2)):
        _cache(monkeypatch, project, f"cache{number}")
        train(spec, workers=workers)
        weights.append(_weights(spec))
    assert all(_equal(weights[0], other) for other in weights[1:])
    _cache(monkeypatch, project, "another")
    other = dataclasses.replace(spec, seed=1)
    train(other)
    assert not _equal(weights[0], _weights(other))


def test_stopped_anywhere_ends_in_the_same_weights(project, spec, monkeypatch):
    train(spec)
    undisturbed = _weights(spec)
    _cache(monkeypatch, project, "stopped")
    stops = 0
    while train(spec, stop=lambda: True).status is Status.STOPPED:
        stops += 1
    assert stops == spec.steps // engine._STRIDE - 1
    assert _equal(undisturbed, _weights(spec))
    assert not (project / "stopped" / "checkpoints" / spec.digest).exists()


def test_truncated_checkpoint_is_noticed_and_the_one_before_used(project, spec, monkeypatch):
    train(dataclasses.replace(spec, samples_seen=1920))
    spec = dataclasses.replace(spec, samples_seen=1920)
    undisturbed = _weights(spec)
    _cache(monkeypatch, project, "truncated")
    for _ in range(2):
        assert train(spec, stop=lambda: True).status is Status.STOPPED
    latest = sorted((project / "truncated" / "checkpoints" / spec.digest).glob("*.safetensors"))[-1]
    latest.write_bytes(latest.read_bytes()[:-1000])
    assert Session(spec).step == engine._STRIDE
    train(spec)
    assert _equal(undisturbed, _weights(spec))


def _killed_after(spec, reports: int, delay: float) -> int:
    """Train in a process of its own, kill -9 it `delay` seconds after it reported so often; where it had begun."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        with contextlib.suppress(BaseException):
            train(spec, checkpoint_seconds=0.0, report=lambda progress: os.write(write, b"%d\n" % progress.samples))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as lines:
        begun = int(lines.readline())
        for _ in range(reports):
            lines.readline()
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return begun


def test_killed_at_random_moments_ends_in_the_same_weights(project, spec, monkeypatch):
    """kill -9, five times, each run going on from where the one before was killed."""
    spec = dataclasses.replace(spec, samples_seen=19200, warmup_steps=60)
    train(spec)
    undisturbed = _weights(spec)
    _cache(monkeypatch, project, "killed")
    moments = random.Random(20221214)
    begun = [_killed_after(spec, moments.randint(2, 5), moments.uniform(0.0, 0.05)) for _ in range(5)]
    assert begun[0] == 0 and begun == sorted(set(begun))
    assert not finished.is_finished(spec)
    assert train(spec).status is Status.FINISHED
    assert _equal(undisturbed, _weights(spec))


def test_nan_stops_the_run_names_the_step_and_keeps_the_checkpoint(project, spec, monkeypatch):
    """A run whose loss is NaN at step 26 ends there; its checkpoint of step 20 is finite and stays."""
    true_loss = engine.open_clip.ClipLoss.forward
    steps = iter(range(1, 1000))

    def poisoned(self, *args, **kwargs):
        return true_loss(self, *args, **kwargs) * (float("nan") if next(steps) == 26 else 1.0)

    monkeypatch.setattr(engine.open_clip.ClipLoss, "forward", poisoned)
    outcome = train(spec, checkpoint_seconds=0.0)
    assert outcome.status is Status.FAILED
    assert spec.run in outcome.message and "nan at step 26" in outcome.message
    assert json.loads((finished.folder(spec) / "record.json").read_text())["status"] == "failed"
    assert not (finished.folder(spec) / "model.safetensors").exists()
    checkpoint = engine.load_checkpoint(project / ".cache" / "checkpoints" / spec.digest)
    assert checkpoint.step == 20
    assert all(bool(torch.isfinite(value).all()) for name, value in checkpoint.tensors.items() if name != "losses")


def test_weights_that_are_not_finite_are_never_saved(project, spec):
    session = Session(spec)
    session.advance(5)
    session.save()
    session.advance(5)
    session.model.visual.proj.data[0, 0] = float("inf")
    session.save()
    assert Session(spec).step == 5


def test_spikes_are_counted():
    losses = 3 + 0.1 * np.sin(np.arange(400.0))
    assert finished.loss_spikes(losses.astype(np.float32)) == 0
    losses[[150, 320]] = 9
    assert finished.loss_spikes(losses.astype(np.float32)) == 2
    assert finished.loss_spikes(losses[:50]) == 0

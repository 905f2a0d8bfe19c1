"""The GPU's way of training, on the CPU: resident data, no waiting for the host, several runs in one process."""

import argparse
import dataclasses
import json
import os
import signal
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clip_scaling.core.errors import UserError
from clip_scaling.train import device, finished
from clip_scaling.train.checkpoint import load_checkpoint
from clip_scaling.train.compute import gmacs
from clip_scaling.train.energy import EnergyMeter
from clip_scaling.train.engine import NonFiniteLoss, Progress, Session
from clip_scaling.train.order import Batches
from clip_scaling.train.packed import packed
from clip_scaling.train.resident import ResidentPool, ResidentSession
from clip_scaling.train.schedule import Board


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


def test_bf16_is_asked_for_and_fp32_is_not(spec, monkeypatch):
    asked = []
    true_autocast = torch.autocast

    def autocast(kind, dtype, enabled=True):
        asked.append((kind, dtype, enabled))
        return true_autocast(kind, dtype, enabled=enabled)

    monkeypatch.setattr(torch, "autocast", autocast)
    for precision in ("bf16", "fp32"):
        session = ResidentSession(dataclasses.replace(spec, precision=precision), ResidentPool("cpu"))
        session.advance(1)
    assert asked == [("cpu", torch.bfloat16, True), ("cpu", torch.bfloat16, False)]


def test_compiled_towers_train_as_the_plain_ones(spec):
    plain = ResidentSession(spec, ResidentPool("cpu"))
    compiled = ResidentSession(spec, ResidentPool("cpu"), compiled="eager")
    for session in (plain, compiled):
        session.advance(6)
        session.check()
    np.testing.assert_allclose(compiled.losses[:6], plain.losses[:6], rtol=1e-5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_step_saves_whole_steps_and_the_next_part_ends_in_the_same_weights(
    project, specs, monkeypatch, number
):
    specs = [dataclasses.replace(spec, samples_seen=3200) for spec in specs]
    device.train_all_on("cpu", specs)
    undisturbed = [_weights(spec) for spec in specs]
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(project / "stopped"))
    monkeypatch.setattr(device, "_MOST_STEPS", 20)  # on any machine the second round is not the last
    true_step, steps = ResidentSession._device_step, iter(range(1, 10_000))

    def step(self):
        true_step(self)
        if next(steps) == 25:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(ResidentSession, "_device_step", step)
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        device.train_all_on("cpu", specs)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    for spec in specs:
        found = load_checkpoint(project / "stopped" / "checkpoints" / spec.digest)
        assert found.step > 0 and bool(torch.isfinite(found.tensors["losses"][:found.step]).all())
    assert device.train_all_on("cpu", specs)
    for spec, weights in zip(specs, undisturbed):
        again = _weights(spec)
        assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_a_checkpoint_waits_for_the_steps_asked_for_and_is_refused_where_they_disagree(project, spec):
    session = ResidentSession(spec, ResidentPool("cpu"))
    session.advance(5)
    session.save()
    folder = project / ".cache" / "checkpoints" / spec.digest
    found = load_checkpoint(folder)
    assert found.step == 5 and bool(torch.isfinite(found.tensors["losses"][:5]).all())
    session.advance(3)
    session._at.sub_(1)
    with pytest.raises(RuntimeError, match="the device is at step 7, the host at 8"):
        session.save()
    assert load_checkpoint(folder).step == 5


def test_checkpoints_are_written_now_and_then(specs, monkeypatch):
    saved = []
    true_save = ResidentSession.save
    monkeypatch.setattr(ResidentSession, "save", lambda self: (saved.append(self.step), true_save(self)))
    assert device.train_all_on("cpu", specs, checkpoint_seconds=0.0)
    assert saved and all(0 < step for step in saved)


def test_a_checkpoint_of_the_other_engine_is_refused(spec):
    session = Session(spec)
    session.advance(2)
    session.save()
    with pytest.raises(UserError, match="its checkpoint is of engine 'host', this is 'resident'; go on with the --device"):
        ResidentSession(spec, ResidentPool("cpu"))


def test_a_step_that_cannot_be_captured_is_taken_the_ordinary_way(spec, monkeypatch, capsys):
    class Refused:
        def __init__(self, *args, **options):
            pass

        def __enter__(self):
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        def __exit__(self, *error):
            return False

    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: None)
    monkeypatch.setattr(torch.cuda, "graph", Refused)
    plain, session = (ResidentSession(spec, ResidentPool("cpu")) for _ in range(2))
    session._capturing = True
    for one in (plain, session):
        one.advance(8)
        one.check()
    assert np.array_equal(session.losses, plain.losses, equal_nan=True)
    said = capsys.readouterr().err
    assert said.count("cannot be captured as a graph (operation not permitted when stream is capturing)") == 1
    assert not ResidentSession(spec, ResidentPool("cpu"), graph=False)._capturing


def test_time_and_energy_are_shared_by_compute_over_all_parts(project, specs, monkeypatch, capsys):
    """A meter of 1 kWh a round: what two runs in two parts are given adds up to the rounds, in proportion to compute."""
    taken = []

    class Meter:
        def __init__(self, device):
            pass

        def take(self):
            taken.append(1.0)
            return 1.0

    monkeypatch.setattr(device, "EnergyMeter", Meter)
    specs = [dataclasses.replace(spec, samples_seen=1280) for spec in specs]
    begun = time.perf_counter()
    assert not device.train_all_on("cpu", specs, deadline=0.0)
    assert device.train_all_on("cpu", specs)
    wall = time.perf_counter() - begun
    assert "kWh on the device, shared among the runs by compute" in capsys.readouterr().err
    timings = [json.loads((finished.folder(spec) / "timing.json").read_text()) for spec in specs]
    assert sum(timing["energy_kwh"] for timing in timings) == pytest.approx(len(taken))
    assert timings[0]["energy_kwh"] == pytest.approx(timings[1]["energy_kwh"])
    assert 0 < sum(timing["seconds"] for timing in timings) < wall


def test_energy_that_was_not_measured_is_not_made_up(specs, capsys):
    device.train_all_on("cpu", specs[1:])
    assert json.loads((finished.folder(specs[1]) / "timing.json").read_text())["energy_kwh"] is None
    assert "energy: not measured" in capsys.readouterr().err
    assert device.plus(1.0, None) is None and device.plus(None, 1.0) is None and device.plus(1.0, 2.0, 0.5) == 2.0


class _Nvml:
    """A counter in mJ; `reads` are its values, an exception among them is raised."""

    def __init__(self, *reads):
        self._reads = list(reads)

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid == "GPU-1234"
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        value = self._reads.pop(0)
        if isinstance(value, Exception):
            raise value
        return value


@pytest.mark.parametrize("name, reads, expected", [
    ("NVIDIA H100 80GB HBM3", (1000, 3_600_001_000, 7_200_001_000), [1.0, 1.0]),
    ("NVIDIA H100 80GB HBM3", (1000, RuntimeError("lost")), [None, None]),
    ("NVIDIA H100 80GB HBM3", (RuntimeError("no permission"),), [None, None]),
    ("NVIDIA H100 80GB HBM3", (1000, 900), [None]),
    ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", (), [None]),
])
def test_energy_is_the_counters(monkeypatch, name, reads, expected):
    monkeypatch.setitem(sys.modules, "pynvml", _Nvml(*reads))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: argparse.Namespace(uuid="1234"))
    meter = EnergyMeter("cuda:0")
    assert [meter.take() for _ in expected] == expected


def test_a_device_that_is_too_small_names_the_option(specs, monkeypatch, capsys):
    def full(self, steps):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ResidentSession, "advance", full)
    with pytest.raises(UserError, match="memory is too small for 2 runs at a time; give --parallel less than 2"):
        device.train_all_on("cpu", specs, parallel=2)


def test_device_is_picked_by_precision_and_told_where_missing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.pick_device(None, "fp32") == "cpu" and device.pick_device("cpu", "bf16") == "cpu"
    assert device.pick_device("cpu:0", "fp32") == "cpu"  # the engine of the CPU, and no other under its name
    with pytest.raises(UserError, match="no GPU that torch can use.*--device cpu"):
        device.pick_device(None, "bf16")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(UserError, match=r"torch.version.cuda is None\); install a build of torch with CUDA"):
        device.pick_device("cuda", "bf16")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(UserError, match="torch finds no GPU; mend its driver"):
        device.pick_device("cuda", "bf16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.pick_device(None, "bf16") == "cuda" and device.pick_device("cuda:1", "bf16") == "cuda:1"
    with pytest.raises(UserError, match="--device cuda:5: GPUs here are numbered from 0 to 1"):
        device.pick_device("cuda:5", "bf16")
    for name in ("nonsense", "mps"):
        with pytest.raises(UserError, match=f"--device {name} is none that this engine trains on; give cpu, cuda"):
            device.pick_device(name, "bf16")


def test_the_board_counts_rounds_alone_and_no_loss_is_a_dash(specs, capsys, monkeypatch):
    """Not what a device is loaded for in between, and not the step that a run begins or goes on with."""
    board = Board(specs, lambda gmacs: f", {gmacs:.3g} GMAC/s")
    try:
        assert not board.hear(specs[0], Progress(specs[0].run, 320, float("nan")))
        assert board.speed() == "- samples/s" and "loss -, - samples/s" in board._bar.postfix
        board.spent(2.0)
        board.hear(specs[0], Progress(specs[0].run, 640, 3.5))
        assert board.speed() == f"160 samples/s, {160 * gmacs(specs[0].config):.3g} GMAC/s"
        assert "loss 3.500, 160 samples/s" in board._bar.postfix
    finally:
        board.close()


def test_a_round_is_no_longer_than_the_time_left(specs, monkeypatch):
    """A run of 10 ms a step with 55 ms left is asked for five."""
    shared = device.Shared(ResidentPool("cpu"), Board(specs), EnergyMeter("cpu"), {})
    device._begin(shared, specs[0])
    asked = []
    monkeypatch.setattr(ResidentSession, "advance", lambda self, steps: asked.append(steps))
    for seconds_a_step, left in ((None, 9.0), (0.01, 0.055), (0.01, -1.0), (0.1, 9.0), (1e-6, 9.0)):
        shared.seconds_a_step = seconds_a_step
        device._round(shared, time.monotonic() + left)
    shared.board.close()
    assert asked == [10, 5, 1, 10, 100]

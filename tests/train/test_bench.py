"""The benchmark's own arithmetic, and once a tiny benchmark for real."""

import argparse
import dataclasses
import json

import pytest

from clip_scaling.cli import main
from clip_scaling.train import bench


def test_table_and_ratios(project, monkeypatch, capsys):
    ours = bench.Measured(10.0, 8.0, {"a": 9000.0})
    theirs = bench.Measured(40.0, 48.0, {"a": 3000.0})
    monkeypatch.setattr(bench, "_ours", lambda *_: ours)
    monkeypatch.setattr(bench, "_theirs", lambda *_: theirs)
    bench.run(argparse.Namespace(study="tiny", samples=64, workers=1, mfu=None, spread=False, json=project / "bench.json"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2] for line in lines[1:]] == ["3.0", "4.0", "6.0"]
    assert json.loads((project / "bench.json").read_text())["open_clip_train"]["wall"] == 40.0


def test_throughput_without_a_gpu_is_told_and_no_share_made_up(capsys):
    assert main(["bench", "train", "--mfu", "ViT-XXS-8", "--batch-size", "4", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "samples/s" in said and "MFU" not in said


def test_two_runs_of_one_specification_do_not_differ_on_the_cpu(project, capsys):
    found = project / "spread.json"
    assert main(["bench", "train", "--spread", "--study", "tiny", "--samples", "1280", "--device", "cpu", "--json", str(found)]) == 0
    assert "twice on cpu: 0 % of the weights differ" in capsys.readouterr().out
    measured = json.loads(found.read_text())
    assert measured["largest"] == measured["norm"] == measured["loss"] == measured["differing"] == 0.0
    assert not (project / ".cache" / "runs").exists() and not (project / ".cache" / "checkpoints").exists()


def test_spread_is_the_difference_of_the_ends(spec, monkeypatch):
    """Another seed the second time stands for a device that is not deterministic."""
    from clip_scaling.train import resident

    seeds = iter((0, 1))
    true_session = resident.ResidentSession
    monkeypatch.setattr(resident, "ResidentSession", lambda spec, pool, **options: true_session(
        dataclasses.replace(spec, seed=next(seeds)), pool, **options))
    found = bench.measure_spread(dataclasses.replace(spec, samples_seen=640), "cpu")
    assert 0 < found.norm < 2 and found.largest > 0 and found.loss > 0 and 0.9 < found.differing <= 1


@pytest.mark.slow
def test_both_engines_train_the_same_small_study(project, capsys):
    assert main(["bench", "train", "--study", "tiny", "--samples", "512", "--workers", "1",
                 "--json", str(project / "bench.json")]) == 0
    measured = json.loads((project / "bench.json").read_text())
    names = {"ViT-XXS-8_large_512_s0", "ViT-XXS-8_large_128_s0", "ViT-XS-8_large_512_s0", "ViT-XS-8_large_128_s0"}
    for side in ("ours", "open_clip_train"):
        assert set(measured[side]["samples_per_second"]) == names
        assert all(speed > 0 for speed in measured[side]["samples_per_second"].values())
        assert measured[side]["wall"] > 0 and measured[side]["processor"] > 0

"""The benchmark's own arithmetic, and once a tiny benchmark for real."""

import argparse
import json

import pytest

from clip_scaling.cli import main
from clip_scaling.train import bench


def test_table_and_ratios(project, monkeypatch, capsys):
    ours = bench.Measured(10.0, 8.0, {"a": 9000.0})
    theirs = bench.Measured(40.0, 48.0, {"a": 3000.0})
    monkeypatch.setattr(bench, "_ours", lambda *_: ours)
    monkeypatch.setattr(bench, "_theirs", lambda *_: theirs)
    bench.run(argparse.Namespace(study="tiny", samples=64, workers=1, mfu=None, json=project / "bench.json"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2] for line in lines[1:]] == ["3.0", "4.0", "6.0"]
    assert json.loads((project / "bench.json").read_text())["open_clip_train"]["wall"] == 40.0


def test_throughput_without_a_gpu_is_told_and_no_share_made_up(capsys):
    assert main(["bench", "train", "--mfu", "ViT-XXS-8", "--batch-size", "4", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "samples/s" in said and "MFU" not in said


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

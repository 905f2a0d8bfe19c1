"""What `clip-scaling bench PART --save` keeps for the book."""

import json

from clip_scaling.fit import bench as fit_bench


def test_saves_what_it_printed_and_keeps_other_parts(tmp_path, monkeypatch, clip_scaling):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    kept = tmp_path / "results" / "benchmarks.json"
    kept.parent.mkdir()
    kept.write_text('{"train": {"printed": ["earlier"]}}')
    monkeypatch.setattr(fit_bench, "run", lambda args: print(f"{args.draws} draws: 3 times faster"))
    said = clip_scaling("bench", "fit", "--draws", "7", "--save")
    assert said.code == 0 and said.out == "7 draws: 3 times faster\n"
    saved = json.loads(kept.read_text())
    assert saved["fit"]["printed"] == ["7 draws: 3 times faster"] and saved["fit"]["command"] == "clip-scaling bench fit --draws 7"
    assert saved["train"]["printed"] == ["earlier"] and saved["fit"]["machine"]


def test_keeps_nothing_of_a_benchmark_that_was_lost(tmp_path, monkeypatch, clip_scaling):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(fit_bench, "run", lambda args: 1)
    assert clip_scaling("bench", "fit", "--save").code == 1
    assert not (tmp_path / "results" / "benchmarks.json").exists()

"""The example studies as shipped, on the tiny pool of photographs that the chapter makes."""

from pathlib import Path

import pytest
from clip_scaling.core import paths
from clip_scaling.core.files import read_json
from clip_scaling.core.study import load_study, study_path
from clip_scaling.subset.at_scale_tiny import write_pool


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's root with the tiny pool in my_data."""
    examples = {name: str(study_path(name)) for name in ("example_shards", "example_cluster")}
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path / ".cache"))
    write_pool(tmp_path / "my_data")
    return examples


def test_own_shards_are_registered_and_not_copied(project, clip_scaling):
    study = project["example_shards"]
    assert clip_scaling("prepare", "--study", study).code == 0
    assert clip_scaling("subset", "--study", study).code == 0
    folder = paths.subsets("example-shards")
    assert not list(folder.rglob("*.tar"))
    small, large = (read_json(folder / f"{name}.json") for name in ("small", "large"))
    assert (small["samples"], large["samples"]) == (256, 2048)
    assert small["shards"] == large["shards"][:1] and (folder / large["shards"][0]["path"]).is_file()
    assert (paths.pool("example-shards") / "evaluation" / "photographs" / "test" / "0.tar").is_file()


def test_a_pool_at_scale_is_drawn_by_key(project, clip_scaling):
    study = project["example_cluster"]
    assert clip_scaling("prepare", "--study", study).code == 0
    assert clip_scaling("subset", "--study", study).code == 0
    folder = paths.subsets("example-cluster")
    small, large = (read_json(folder / f"{name}.json") for name in ("small", "large"))
    assert (small["samples"], large["samples"]) == (500, 2000)
    assert (folder / large["tokenizer"]).is_file() and not list(folder.rglob("*.tar"))
    assert "2 runs:" in clip_scaling("train", "--study", study, "--dry-run").out


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/{00000..00007}.tar", "pipe:touch ran; cat {00000..00007}.tar"])
def test_remote_shards_of_a_cluster_study_are_listed_and_none_is_opened(project, clip_scaling, tmp_path, address):
    study = tmp_path / "mine.yaml"
    text = Path(project["example_cluster"]).read_text(encoding="utf-8").replace("my_data/shards/*.parquet", address)
    study.write_text(text.replace("vocabulary: 500", "vocabulary: 48894"), encoding="utf-8")
    ended = clip_scaling("subset", "--study", study)
    assert ended.code == 2 and f"run `clip-scaling prepare --study {study}` first" in ended.err
    assert clip_scaling("prepare", "--study", study).code == 0
    assert "8 remote shards listed; 500 pairs" in clip_scaling("subset", "--study", study).err
    manifest = read_json(paths.subsets("example-cluster") / "small.json")
    assert manifest["samples"] == 500 and manifest["shards"][7]["path"] == address.replace("{00000..00007}", "00007")
    said = "add --allow-pipe" if address.startswith("pipe") else "cannot be reached"
    for dry_run in ([], ["--dry-run"]):
        ended = clip_scaling("train", "--study", study, "--executor", "local", *dry_run)
        assert said in ended.out + ended.err
    assert not (tmp_path / "ran").exists() and not (tmp_path / ".cache" / "shards").exists()


@pytest.mark.slow
def test_a_cluster_study_streams_pipes_when_asked(project, clip_scaling, tmp_path):
    study = tmp_path / "mine.yaml"
    address = f"pipe:cat {tmp_path}/my_data/shards/{{00000..00007}}.tar"
    text = Path(project["example_cluster"]).read_text(encoding="utf-8").replace("my_data/shards/*.parquet", address)
    study.write_text(text.replace("vocabulary: 500", "vocabulary: 48894"), encoding="utf-8")
    assert clip_scaling("prepare", "--study", study).code == 0
    assert clip_scaling("subset", "--study", study).code == 0
    words = ["--executor", "local", "--allow-pipe", "--run", "ViT-XXS-8_small_2048_s0"]
    assert clip_scaling("train", "--study", study, *words).code == 0
    assert not (tmp_path / ".cache" / "shards").exists()


@pytest.mark.slow
def test_own_shards_end_in_scores_through_the_embedded_engine(project, clip_scaling):
    study = project["example_shards"]
    for stage in ("prepare", "subset", "train", "evaluate", "collect"):
        assert clip_scaling(stage, "--study", study).code == 0, stage
    _expect_scores("example-shards", 6)


@pytest.mark.slow
def test_weights_of_the_cluster_engine_are_evaluated_as_any_others(project, clip_scaling):
    study = project["example_cluster"]
    assert clip_scaling("prepare", "--study", study).code == 0
    assert clip_scaling("subset", "--study", study).code == 0
    assert clip_scaling("train", "--study", study, "--executor", "local").code == 0
    for stage in ("evaluate", "collect"):
        assert clip_scaling(stage, "--study", study).code == 0, stage
    _expect_scores("example-cluster", 2)
    unique = read_json(next(paths.runs("example-cluster").glob("*small*/record.json")))["unique_samples"]
    assert unique == 500


def _expect_scores(study, runs):
    from clip_scaling.core.schema import RUNS, SCORES, read_table

    table = read_table(paths.results(study) / "runs.csv", RUNS)
    scores = read_table(paths.results(study) / "scores.csv", SCORES)
    assert len(table) == runs and set(table["status"]) == {"finished"}
    assert set(scores["run"]) == set(table["run"]) and set(scores["dataset"]) == {"photographs"}

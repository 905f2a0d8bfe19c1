"""The example studies as shipped, on the tiny pool of photographs that the chapter makes."""

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

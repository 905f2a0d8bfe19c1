"""A result leads to the stages, parameters and hashes that made it."""

import json

import pytest

LOCK = """
schema: '2.0'
stages:
  train: {cmd: clip-scaling train, deps: [{path: data/s, md5: aa}], params: {studies/s.yaml: {train.batch_size: 8}}, outs: [{path: runs/s, md5: bb}]}
  collect: {cmd: clip-scaling collect, deps: [{path: runs/s, md5: bb}], outs: [{path: results/s/scores.csv, md5: cc}]}
"""


@pytest.fixture
def project(tmp_path, monkeypatch, root):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    (tmp_path / "studies").mkdir()
    text = (root / "studies/cpu.yaml").read_text().replace("study: cpu", "study: s")
    (tmp_path / "studies/s.yaml").write_text(text)
    (tmp_path / "results/s").mkdir(parents=True)
    (tmp_path / "results/s/scores.csv").write_text("a\n1\n")
    (tmp_path / "dvc.lock").write_text(LOCK)
    return tmp_path


def test_trace_goes_back_to_the_data(project, clip_scaling):
    done = clip_scaling("provenance", "--study", "s", "--json")
    steps = json.loads(done.out)
    assert [step.get("stage") for step in steps] == [None, "collect", "train"]
    assert steps[2]["inputs"] == {"data/s": "aa"}
    assert steps[2]["parameters"] == {"studies/s.yaml": {"train.batch_size": 8}}


def test_unknown_table_is_a_sentence(project, clip_scaling):
    done = clip_scaling("provenance", "--study", "s", "--table", "none.csv")
    assert done.code == 2 and "no recorded stage made it" in done.err


def test_crate_names_each_table_its_hash_and_its_stage(project, clip_scaling):
    pytest.importorskip("rocrate")
    assert clip_scaling("provenance", "--study", "s", "--crate", project / "ro-crate-metadata.json").code == 0
    graph = {part["@id"]: part for part in json.loads((project / "ro-crate-metadata.json").read_text())["@graph"]}
    table = graph["results/s/scores.csv"]
    assert len(table["sha256"]) == 64 and table["wasGeneratedBy"] == {"@id": "#collect"}
    assert graph["#collect"]["object"] == ["runs/s md5:bb"]

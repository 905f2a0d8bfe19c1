"""A result leads to the stages, parameters and hashes that made it."""

import json
import subprocess

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


@pytest.mark.parametrize("text", [
    "", "[]", "{", "1", "stages: 1", "stages: []", "stages: {a: 1}", "stages: {a: {cmd: 1}}", "stages: {a: {cmd: x, deps: 1}}", "schema: '2.0'",
    "stages: {a: {cmd: x, outs: [1]}}", "stages: {a: {cmd: x, outs: [{md5: 1}]}}", "stages: {a: {cmd: x, outs: [{path: 1}]}}", "a: &x 1\nb: *x",
    "!!python/object:os.system {}", "stages: {a: {cmd: x, params: []}}", "[" * 20000, "\0", "stages: {a: {cmd: x, outs: [{path: y, md5: []}]}}",
])
@pytest.mark.parametrize("words", [[], ["--json"], ["--crate", "made.json"]])
def test_a_broken_lock_is_a_sentence(project, clip_scaling, monkeypatch, text, words):
    pytest.importorskip("rocrate")
    monkeypatch.chdir(project)
    (project / "dvc.lock").write_text(text)
    said = clip_scaling("provenance", "--study", "s", *words)
    assert said.code == 2 and said.err.count("\n") == 1 and "dvc.lock" in said.err and not (project / "made.json").exists()


def test_the_commit_is_the_one_that_recorded_the_table(project, clip_scaling):
    def git(*words):
        done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=project, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit():
        return json.loads(clip_scaling("provenance", "--study", "s", "--json").out)[0]["commit"]

    git("init", "-q")
    git("add", "studies")
    git("commit", "-qm", "Begin")
    assert commit() == "not committed"
    git("add", "-A")
    git("commit", "-qm", "Record")
    recorded = git("rev-parse", "HEAD")
    (project / "other").write_text("later")
    git("add", "-A")
    git("commit", "-qm", "Change something else")
    assert commit() == recorded != git("rev-parse", "HEAD")
    (project / "results/s/scores.csv").write_text("a\n2\n")
    assert commit() == f"{recorded} and changed since"


def test_the_environment_is_that_of_the_records(project, clip_scaling, root):
    for name in ("verification.json", "timings.csv"):
        (project / "results/s" / name).write_bytes((root / "results/cpu" / name).read_bytes())
    stated = json.loads(clip_scaling("provenance", "--study", "s", "--json").out)[0]["environment"]
    assert stated["machine"]["python"] and stated["versions"]["numpy"] and "torch" in stated["trained_with"][0]
    assert "trained_on" in clip_scaling("provenance", "--study", "s").out
    (project / "results/s/verification.json").write_text("[1]")
    assert clip_scaling("provenance", "--study", "s").code == 2

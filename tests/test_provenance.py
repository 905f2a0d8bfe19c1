"""A result leads to the stages, parameters and hashes that made it."""

import hashlib
import json
import subprocess

import pytest

from clip_scaling.core.schema import RUNS

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


@pytest.mark.parametrize("text", [
    "", "[]", "{", "1", "stages: 1", "stages: []", "stages: {a: 1}", "stages: {a: {cmd: 1}}", "stages: {a: {cmd: x, deps: 1}}", "schema: '2.0'",
    "stages: {a: {cmd: x, outs: [1]}}", "stages: {a: {cmd: x, outs: [{md5: 1}]}}", "stages: {a: {cmd: x, outs: [{path: 1}]}}", "a: &x 1\nb: *x",
    "!!python/object:os.system {}", "stages: {a: {cmd: x, params: []}}", "[" * 20000, "\0", "stages: {a: {cmd: x, outs: [{path: y, md5: []}]}}",
    "stages: {1: {cmd: x}}", "stages: {null: {cmd: x}}", "stages: {true: {cmd: x}}", "stages: {1.5: {cmd: x}}", "stages: {[a]: {cmd: x}}",
    "stages: {a: {cmd: x, params: {1: {b: 1}}}}", "stages: {a: {cmd: x, params: {f: {1: 1}}}}", "stages: {a: {cmd: x, params: {f: {null: 1}}}}",
    "stages: {a: {cmd: x, params: {true: 1}}}", "stages: {a: {cmd: !!str x}}", 'stages: {a: {cmd: "\\ud800"}}',
])
@pytest.mark.parametrize("words", [[], ["--json"], ["--crate", "made.json"]])
def test_a_broken_lock_is_a_sentence(project, clip_scaling, monkeypatch, text, words):
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
    (project / "results/s/timings.csv").write_bytes((root / "results/cpu/timings.csv").read_bytes())
    (project / "results/s/verification.json").write_text('{"compared_on": "Linux m68k", "compared_with": {"numpy": "9"}}')
    stated = json.loads(clip_scaling("provenance", "--study", "s", "--json").out)[0]["environment"]
    assert stated["compared_with"] == {"numpy": "9"} and "torch" in stated["trained_with"][0]
    assert "trained_on" in clip_scaling("provenance", "--study", "s").out
    for text in ("[1]", "{", "[" * 100_000, ""):
        (project / "results/s/verification.json").write_text(text)
        said = clip_scaling("provenance", "--study", "s")
        assert said.code == 2 and said.err.count("\n") == 1 and "verification.json" in said.err


ESCAPES = "\x1b]8;;evil\x07\x1b[2J\u202e\x9b31m"


@pytest.mark.parametrize("words", [[], ["--run", "r"], ["--row", "study=s"]])
def test_nothing_that_a_terminal_would_obey_is_printed(project, clip_scaling, words):
    """Neither of the lock (names, commands, parameters, paths, hashes) nor of tables (columns, cells)."""
    said = json.dumps(ESCAPES)[1:-1]
    (project / "dvc.lock").write_text(f"""stages:
  "c{said}": {{cmd: "c{said}", deps: [{{path: "d{said}", md5: "m{said}"}}], params: {{"f{said}": {{"k{said}": "v{said}"}}, "g{said}": ["{said}"]}},
    outs: [{{path: results/s/scores.csv, md5: cc}}]}}
""")
    (project / "results/s/scores.csv").write_text(f"study,run{'' if '--run' in words else 's'},x{ESCAPES}\ns,r,y{ESCAPES}\n", encoding="utf-8")
    if "--run" in words:
        (project / "results/s/runs.csv").write_text(f"{','.join(RUNS.names)}\ns,r,f,u,a,1,1,1,1,1,1,1,p\u202e,0,finished,t\n", encoding="utf-8")
    done = clip_scaling("provenance", "--study", "s", *words)
    assert done.code == 0 and done.out.replace("\n", "").isprintable() and "k?]8;;evil" in done.out
    assert not words or "y?]8;;evil??[2J??31m" in done.out
    assert json.loads(clip_scaling("provenance", "--study", "s", *words, "--json").out)[1]["command"] == f"c{ESCAPES}"


RUN = "ViT-S-8_large_204800_s0"


@pytest.fixture
def trained(project, root):
    """The project with the tables of a trained study, a subset's manifest and a run's record."""
    for name in ("runs.csv", "scores.csv", "timings.csv", "tuning.csv"):
        (project / "results/s" / name).write_bytes((root / "results/cpu" / name).read_bytes())
    (project / "data/s/subsets").mkdir(parents=True)
    (project / "data/s/subsets/large.json").write_text('{"shards": [{"path": "icons/00000.tar", "sha256": "ab12", "samples": 3}]}')
    (project / "runs/s" / RUN).mkdir(parents=True)
    (project / "runs/s" / RUN / "record.json").write_text("{}")
    return project


def test_a_row_leads_to_parameters_machine_and_shards_of_its_run(trained, clip_scaling):
    words = ("provenance", "--study", "s", "--run", RUN, "--row", "dataset=digits", "--row", "metric=acc1")
    first, *steps = json.loads(clip_scaling(*words, "--json").out)
    assert first["matching"] == 3 and {row["dataset"] for row in first["rows"]} == {"digits"}
    run = first["run"]
    assert run["parameters"]["architecture"] == "ViT-S-8" and run["parameters"]["samples_seen"] == 204800
    assert run["parameters"]["learning_rate"] == 0.001 and run["parameters"]["seed"] == 0
    assert "torch" in run["environment"]["versions"] and run["environment"]["finished_at"]
    manifest = hashlib.sha256((trained / "data/s/subsets/large.json").read_bytes()).hexdigest()
    assert run["inputs"] == {"data/s/subsets/large.json": f"sha256 {manifest}", "icons/00000.tar": "sha256 ab12"}
    assert run["outputs"] == {f"runs/s/{RUN}/record.json": f"sha256 {hashlib.sha256(b'{}').hexdigest()}"}
    assert [step["stage"] for step in steps] == ["collect", "train"]
    said = clip_scaling(*words).out
    for line in ("learning_rate: 0.001", "icons/00000.tar: sha256 ab12", "train.batch_size: 8", "data/s: aa", "value 0.7441860465"):
        assert line in said, line


def test_a_row_of_the_committed_study_is_traced(clip_scaling):
    for words in (["--run", RUN], ["--run", RUN, "--table", "runs.csv"], ["--table", "laws.csv", "--row", "parameter=alpha"],
                  ["--table", "tuning.csv", "--row", "learning_rate=0.001"]):
        first, *steps = json.loads(clip_scaling("provenance", "--study", "cpu", *words, "--json").out)
        assert first["matching"] and len(first["rows"]) <= 20 and len(steps) > 2 and len(first["commit"]) >= 40


@pytest.mark.parametrize(("words", "said"), [
    (["--run", "nope"], "has no row with run=nope"), (["--row", "x=1"], "has no column x"), (["--row", "x"], "names no cell"),
    (["--row", "=1"], "names no cell"), (["--row", "dataset=\x1b[31m"], "has no row with"), (["--run", RUN, "--row", "metric=acc9"], "has no row"),
    (["--table", "runs.csv", "--row", "dataset=digits"], "has no column dataset")])
def test_a_row_that_is_none_is_a_sentence(trained, clip_scaling, words, said):
    with (trained / "dvc.lock").open("a") as file:
        file.write("  again: {cmd: clip-scaling collect, outs: [{path: results/s/runs.csv}]}\n")
    done = clip_scaling("provenance", "--study", "s", *words)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1 and "\x1b" not in done.err


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"shards": 1}', '{"shards": [1]}', '{"shards": [{}]}', "[" * 100_000])
def test_a_broken_manifest_is_a_sentence(trained, clip_scaling, content):
    (trained / "data/s/subsets/large.json").write_text(content)
    done = clip_scaling("provenance", "--study", "s", "--run", RUN)
    assert done.code == 2 and "large.json" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["/etc/passwd", "/nowhere/x", "../../secret", "..", "a/b", "a b", "x" * 65, "\u202ex"])
@pytest.mark.parametrize("column", ["run", "subset"])
def test_a_name_in_the_table_leads_nowhere_else(trained, clip_scaling, name, column):
    """A run or subset called like a path is refused, whether or not there is something at that path."""
    (trained / "data/secret.json").write_text('{"shards": [{"path": "found", "sha256": "ab"}]}')
    (trained / "secret").mkdir()
    (trained / "secret/record.json").write_text("{}")
    path = trained / "results/s/runs.csv"
    lines = path.read_text().splitlines()
    lines[1] = ",".join(name if key == column else cell if key != "run" else "r" for key, cell in zip(lines[0].split(","), lines[1].split(",")))
    path.write_text("\n".join(lines) + "\n")
    run = name if column == "run" else "r"
    scores = trained / "results/s/scores.csv"
    head, first = scores.read_text().splitlines()[:2]
    scores.write_text(f"{head}\n{','.join([first.split(',')[0], run, *first.split(',')[2:]])}\n")
    done = clip_scaling("provenance", "--study", "s", "--run", run)
    assert done.code == 2 and "is no name of a run or subset" in done.err and done.err.count("\n") == 1 and not done.out
    assert done.err[:-1].isprintable()


def test_a_manifest_elsewhere_is_said(trained, clip_scaling):
    (trained / "data/s/subsets/large.json").unlink()
    assert "large.json: not on this machine" in clip_scaling("provenance", "--study", "s", "--run", RUN).out


def test_tuning_is_traced_to_its_command_and_to_the_lock_of_its_commit(trained, clip_scaling):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=trained, capture_output=True, check=True)

    lock = LOCK + "  subset: {cmd: clip-scaling subset, outs: [{path: data/s/subsets, md5: then}]}\n"
    (trained / "dvc.lock").write_text(lock)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "Record")
    (trained / "dvc.lock").write_text(lock.replace("then", "now"))
    first, tuning, *steps = json.loads(clip_scaling("provenance", "--study", "s", "--table", "tuning.csv", "--json").out)
    assert tuning["command"] == "clip-scaling tune --study s" and tuning["inputs"] == {"data/s/subsets": "then"}
    assert tuning["parameters"]["architecture"] == ["ViT-S-8", "ViT-XS-8", "ViT-XXS-8"] and first["environment"] == {}
    assert [step["stage"] for step in steps] == ["subset"]

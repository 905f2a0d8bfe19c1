"""The smoke study through every stage, as a new user starts it, in a copy of the project."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from clip_scaling.core.schema import LAWS, RUNS, SCORES, TIMINGS, read_table
from clip_scaling.core.study import load_study
from clip_scaling.dag import read_stages

from workspace import STAGES, copy_project, environment, repro, tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory, root):
    """The project with its smoke study reproduced."""
    folder = copy_project(root, tmp_path_factory.mktemp("smoke"))
    done = repro(folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def test_every_stage_ran_and_the_tables_are_valid(project):
    folder, study = project / "results/smoke", load_study("smoke")
    runs, scores = read_table(folder / "runs.csv", RUNS), read_table(folder / "scores.csv", SCORES)
    assert set(runs["run"]) == {run.run_id for run in study.train.runs} == set(scores["run"])
    assert (runs["status"] == "finished").all() and len(read_table(folder / "timings.csv", TIMINGS)) == len(runs)
    assert {"zeroshot_classification", "retrieval"} <= set(scores["task"])
    assert set(scores.query("task == 'zeroshot_classification'")["dataset"]) == set(study.evaluate.zeroshot)
    # A fixture of 152 pairs shows no law, and the fits say so.
    assert set(read_table(folder / "laws.csv", LAWS)["status"]) == {"DEGENERATE"}


def test_budget_is_exact(project):
    runs = pd.read_csv(project / "results/smoke/runs.csv").set_index("run")
    for run in load_study("smoke").train.runs:
        assert runs.loc[run.run_id, "samples_seen"] == run.samples_seen


def test_book_and_figures_are_there(project):
    assert (project / "book/_build/html/index.html").is_file()
    assert list((project / "figures/smoke").glob("*.csv")) and list((project / "figures/smoke").glob("*.svg"))


def test_second_run_does_nothing(project):
    done = repro(project)
    assert done.returncode == 0 and "Running stage" not in done.stdout + done.stderr


def test_equal_tables_from_a_second_copy(project, tmp_path, root):
    other = copy_project(root, tmp_path)
    done = repro(other, "collect")
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("runs.csv", "scores.csv"):
        assert tables(other)[name] == tables(project)[name], name


def test_a_second_reproduction_is_refused_while_one_runs(project):
    from filelock import FileLock

    with FileLock(project / ".cache/repro.lock"):
        done = repro(project)
    assert done.returncode == 2 and "another reproduction runs" in done.stderr
    assert "Traceback" not in done.stderr and sys.platform


@pytest.mark.parametrize("source", ["book/chapters/glossary.md", "src/clip_scaling/fit/command.py", "src/clip_scaling/verify.py",
                                    "src/clip_scaling/evaluate/probe.py", "src/clip_scaling/train/engine.py",
                                    "src/clip_scaling/published/claims/checks.py"])
def test_touching_a_source_reruns_exactly_the_stages_that_use_it(project, source):
    """Those whose dependencies hold it (tests/test_dag.py: what their code imports); later ones once its results differ."""
    path = project / source
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        done = subprocess.run([sys.executable, "-m", "dvc", "repro", "--dry"], cwd=project, env=environment(project),
                              capture_output=True, text=True)
    finally:
        path.write_bytes(before)
    ran = {stage for stage in STAGES if f"Running stage '{stage}'" in done.stdout}
    assert ran == users(source), done.stdout


def users(source: str) -> set[str]:
    """Stages that depend on `source` themselves."""
    known = read_stages(ROOT / "dvc.yaml").items()
    return {name.replace("<study>", "study") for name, stage in known
            if any(source == dep or source.startswith(dep + "/") for dep in stage["deps"])}

"""A study trained in parts on machines that begin bare: its tables are those of an undisturbed one."""

import tarfile

import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.evaluate import grid
from clip_scaling.train import device
from travel.conftest import enter

BRIEF = ["--minutes", "0.000001"]  # one round of ten steps a run


@pytest.fixture(autouse=True)
def resident_on_the_cpu(monkeypatch):
    """The engine of a GPU, on the CPU: a name that the real choice never gives."""
    monkeypatch.setattr(device, "pick_device", lambda name, precision: "cpu:0" if name == "trial" else "cpu")


def tables(root) -> dict[str, bytes]:
    found = (root / "results" / "tiny").glob("*.csv")
    return {path.name: path.read_bytes() for path in found if path.name != "timings.csv"}


def names(progress) -> list[str]:
    with tarfile.open(progress) as tar:
        return [name.split("/")[0] + "/" + name.rsplit("/")[-1] for name in tar.getnames()]


def part(clip_scaling, project, progress, *words):
    return clip_scaling("travel", "part", "--study", "tiny", "--pack", project / "tiny.pack", "--progress", progress,
                        "--device", "trial", "--workers", "1", *words)


def test_parts_on_bare_machines_end_in_the_tables_of_an_undisturbed_study(
    project, bare, clip_scaling, monkeypatch, tmp_path
):
    assert clip_scaling("travel", "pack", project / "tiny.pack", "--study", "tiny").code == 0

    undisturbed = bare("undisturbed")
    assert part(clip_scaling, project, tmp_path / "whole.tar").code == 0
    assert clip_scaling("collect", "--study", "tiny").code == 0
    expected = tables(undisturbed)
    assert {"runs.csv", "scores.csv", "patching.csv", "learning_curves.csv"} <= set(expected)

    progress = tmp_path / "progress.tar"
    bare("first")
    ended = part(clip_scaling, project, progress, *BRIEF)
    assert ended.code == 3 and "0 of 2 runs are finished, 0 evaluated; carry the progress file along" in ended.err
    assert names(progress) == ["checkpoints/000000010.safetensors", "checkpoints/000000010.json"] * 2
    bare("second")
    ended = part(clip_scaling, project, progress, *BRIEF)
    assert ended.code == 3 and "1 of 2 runs are finished, 0 evaluated" in ended.err
    assert "runs/model.safetensors" in names(progress) and "checkpoints/000000020.json" in names(progress)
    bare("third")
    ended = part(clip_scaling, project, progress)
    assert ended.code == 0 and "2 of 2 runs are finished, 2 evaluated" in ended.err
    assert names(progress).count("runs/record.json") == names(progress).count("runs/model.sha256") == 2
    assert not any("safetensors" in name for name in names(progress))

    enter(monkeypatch, project)
    assert clip_scaling("travel", "home", progress, "--study", "tiny").code == 0
    monkeypatch.setattr(device, "pick_device", lambda *_: pytest.fail("nothing is left to train"))
    monkeypatch.setattr(grid, "_scores", lambda *_: pytest.fail("nothing is left to evaluate"))
    for stage in ("train", "evaluate", "collect"):
        assert clip_scaling(stage, "--study", "tiny").code == 0
    assert tables(project) == expected


def test_what_exceeds_the_limit_begins_again(project, bare, clip_scaling, tmp_path):
    assert clip_scaling("travel", "pack", project / "tiny.pack", "--study", "tiny").code == 0
    progress = tmp_path / "progress.tar"
    bare("first")
    ended = part(clip_scaling, project, progress, *BRIEF, "--limit", "0.01")
    assert ended.code == 3 and "000000010.json is left out, it exceeds the limit" in ended.err
    assert names(progress) == []
    bare("second")
    assert part(clip_scaling, project, progress).code == 0


def test_no_room_at_all_and_no_run_begun_is_no_fault(project, tmp_path, capsys):
    """Scores that alone exceed the limit travel; of runs that have not begun there is nothing to leave out."""
    from clip_scaling.core import paths
    from clip_scaling.core.study import load_study
    from clip_scaling.train.spec import run_specs
    from clip_scaling.travel.progress import save

    kept = paths.cache() / "evaluations" / "a.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("[1, 2]")
    study = load_study("tiny")
    save(tmp_path / "progress.tar", study, run_specs(study), limit=1)
    assert names(tmp_path / "progress.tar") == ["evaluations/a.json"]
    assert "left out" not in capsys.readouterr().err


def test_a_part_that_is_stopped_still_writes_its_progress(project, bare, clip_scaling, tmp_path, monkeypatch):
    """Ctrl-C, or what a machine sends before it goes."""
    from clip_scaling.train.resident import ResidentSession

    assert clip_scaling("travel", "pack", project / "tiny.pack", "--study", "tiny").code == 0
    bare("first")
    true_advance = ResidentSession.advance

    def advance(self, steps):
        import os
        import signal

        true_advance(self, steps)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(ResidentSession, "advance", advance)
    ended = part(clip_scaling, project, tmp_path / "progress.tar")
    assert ended.code == 130 and "the same command goes on from here" in ended.err
    assert names(tmp_path / "progress.tar") == ["checkpoints/000000010.safetensors", "checkpoints/000000010.json"] * 2


def test_a_run_finished_here_stays(project, bare, clip_scaling, tmp_path, monkeypatch):
    assert clip_scaling("travel", "pack", project / "tiny.pack", "--study", "tiny").code == 0
    bare("there")
    assert part(clip_scaling, project, tmp_path / "progress.tar").code == 0
    enter(monkeypatch, project)
    assert clip_scaling("train", "--study", "tiny", "--workers", "1").code == 0
    before = {path: path.read_bytes() for path in (project / ".cache" / "runs").rglob("*") if path.is_file()}
    assert clip_scaling("travel", "home", tmp_path / "progress.tar", "--study", "tiny").code == 3  # evaluated is another
    assert {path: path.read_bytes() for path in (project / ".cache" / "runs").rglob("*") if path.is_file()} == before


def test_weights_that_stayed_there_are_told_where_they_are_needed(project, tmp_path):
    from clip_scaling.train.models import LEFT_BEHIND, load_model

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LEFT_BEHIND).write_text("0" * 64)
    with pytest.raises(UserError, match="its weights stayed on the machine that trained it"):
        load_model(tmp_path / "run")


def test_time_that_is_up_ends_evaluation(project, bare, clip_scaling, monkeypatch):
    """Processes that are in the middle of it are ended, and leave no table."""
    import time

    from clip_scaling.core import paths
    from clip_scaling.core.study import load_study

    assert clip_scaling("train", "--study", "tiny", "--workers", "1").code == 0
    todo = grid.jobs(load_study("tiny"))
    begun = time.monotonic()
    assert grid.evaluate_runs(todo, workers=2, deadline=begun + 0.5) is False
    assert time.monotonic() - begun < 5
    assert grid.evaluate_runs(todo, workers=2, deadline=begun) is False
    assert not list(paths.evaluations("tiny").glob("*.csv"))

"""`clip-scaling train` as a user meets it: processes, cache, Ctrl-C, hostile data."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest
import yaml
from safetensors.torch import load_file

from clip_scaling.cli import main
from clip_scaling.core.errors import UserError
from clip_scaling.core.files import read_json
from clip_scaling.core.schema import RUNS, TIMINGS
from clip_scaling.core.study import load_study
from clip_scaling.train import command, engine, finished, schedule, workers
from clip_scaling.train import spec as spec_module
from clip_scaling.train.engine import Outcome, Progress, Status
from clip_scaling.train.workers import Failure

STUDY = "tiny"


def _edit(project, change) -> None:
    path = project / "studies" / "tiny.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def test_study_is_trained_once_and_recorded_in_the_schema(project, capsys):
    """All runs, one of which diverges; then a second call that finds everything done."""
    _edit(project, lambda study: study["train"]["runs"].append(
        {"architecture": "ViT-XXS-8", "subset": "small", "samples_seen": 640, "learning_rate": 1e30, "name": "wild"}))
    assert main(["train", "--study", STUDY, "--workers", "2"]) == 0
    said = capsys.readouterr().err
    assert "run wild: the loss is" in said and "at step" in said
    records = {path.parent.name: read_json(path) for path in (project / "runs" / "tiny").glob("*/record.json")}
    statuses = {name: record["status"] for name, record in records.items()}
    assert statuses == {"ViT-XXS-8_large_1280_s0": "finished", "ViT-XXS-8_small_640_s0": "finished", "wild": "failed"}
    for name, record in records.items():
        assert set(record) == set(RUNS.names) and record["study"] == "tiny" and record["run"] == name
        timing = read_json(project / "runs" / "tiny" / name / "timing.json")
        assert set(timing) == set(TIMINGS.names) and timing["run"] == name
    begun = time.monotonic()
    assert main(["train", "--study", STUDY]) == 0
    assert time.monotonic() - begun < 5  # no process was started


def test_finished_runs_are_found_by_content(project, specs, capsys):
    """A renamed run, or a study file with other words, is the same work; another seed or another image is not."""
    digests = [spec.digest for spec in specs]
    _edit(project, lambda study: study["train"]["runs"][0].update(name="renamed"))
    study = load_study(STUDY)
    renamed = spec_module.run_specs(study)
    assert [spec.digest for spec in renamed] == digests and renamed[0].run == "renamed"
    manifest = project / "data" / "tiny" / "subsets" / "large.json"
    content = json.loads(manifest.read_text())
    os.utime(project / "data" / "tiny" / "subsets" / "00000.tar")
    assert spec_module.run_specs(study)[0].digest == digests[0]
    content["shards"][0]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(content))
    assert spec_module.run_specs(study)[0].digest != digests[0]
    assert spec_module.run_specs(study)[1].digest == digests[1]
    _edit(project, lambda study: study["train"]["runs"][1].update(seed=3))
    assert spec_module.run_specs(load_study(STUDY))[1].digest != digests[1]


def test_runs_that_the_study_no_longer_names_are_dropped(project, specs):
    from clip_scaling.train.engine import train

    for spec in specs:
        train(spec)
    stranger = project / "runs" / "tiny" / "stranger"
    stranger.mkdir(parents=True)
    assert main(["train", "--study", STUDY, "--run", specs[1].run]) == 0
    assert stranger.is_dir()
    assert main(["train", "--study", STUDY]) == 0
    assert sorted(path.name for path in stranger.parent.iterdir()) == sorted(spec.run for spec in specs)


def test_dry_run_lists_longest_first_and_trains_nothing(project, capsys):
    assert main(["train", "--study", STUDY, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ViT-XXS-8_large_1280_s0", "ViT-XXS-8_small_640_s0"]
    assert all("to train" in line for line in lines) and not (project / "runs").exists()


@pytest.mark.parametrize("harm, sentence", [
    (lambda folder: (folder / "large.json").unlink(), "run `clip-scaling subset --study tiny`"),
    (lambda folder: (folder / "00001.tar").unlink(), "names a file that is not there"),
    (lambda folder: (folder / "large.json").write_text("[1"), "is no manifest of a subset"),
    (lambda folder: (folder / "00001.tar").write_bytes(b"\0" * 100), "00001.tar"),
])
def test_missing_or_broken_subset_is_one_sentence(project, capsys, harm, sentence):
    harm(project / "data" / "tiny" / "subsets")
    assert main(["train", "--study", STUDY, "--workers", "1"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("clip-scaling train: ") and sentence in said and "Traceback" not in said


def test_a_broken_record_is_one_sentence(project, clip_scaling):
    train = functools.partial(clip_scaling, "train", "--study", STUDY, "--workers", "1")
    assert train().code == 0
    for path in (project / ".cache" / "runs").glob("*/[rt]*.json"):
        whole = path.read_bytes()
        for content in (b"", b"[]", b'{"status": ', b"[" * 500_000, b"\xff"):
            path.write_bytes(content)
            ended = train()
            said = ended.err.strip().splitlines()[-1]
            assert ended.code == 2 and f"{path.name}: is no" in said
            assert said.endswith("; remove its folder, and train again")
        path.write_bytes(whole)
    assert train().code == 0


@pytest.mark.parametrize("content", ["{}", '{"status": "soon"}', '{"status": []}', "[]"])
def test_a_record_that_does_not_say_how_its_run_ended_is_one_sentence(project, content):
    spec = spec_module.run_specs(load_study(STUDY))[0]
    path = finished.folder(spec) / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UserError, match=r"record\.json: .*; remove its folder, and train again"):
        finished.status(spec)


@pytest.mark.parametrize("arguments, sentence", [
    (["--run", "nothing"], "unknown run 'nothing'"),
    (["--workers", "0"], "--workers 0"),
    (["--parallel", "0"], "--parallel 0 trains nothing; give 1 or more"),
    (["--parallel", "-2"], "--parallel -2"),
    (["--minutes", "0"], "--minutes 0 trains nothing; give more than 0"),
    (["--minutes", "-3"], "--minutes -3"),
    (["--minutes", "nan"], "--minutes nan"),
    (["--device", "nonsense"], "--device nonsense is none"),
])
def test_bad_arguments_are_one_sentence(project, capsys, arguments, sentence):
    assert main(["train", "--study", STUDY, *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_minutes_count_from_the_call_and_not_from_where_training_begins(project, monkeypatch):
    """What is imported and read before takes its share of them."""
    found = []
    clock = iter((100.0, 400.0))
    monkeypatch.setattr(command.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(spec_module, "run_specs", lambda study, names: (command.time.monotonic(), [])[1])
    monkeypatch.setattr(command, "train_missing", lambda specs, precision, args, deadline: found.append(deadline) or True)
    monkeypatch.setattr(command, "_drop_strangers", lambda *_: None)
    assert main(["train", "--study", STUDY, "--minutes", "2"]) == 0
    assert found == [220.0]


def test_a_worker_has_one_thread(monkeypatch):
    """Each process of its own starts with one thread for every library that has a number of them."""
    started = {}

    class Process:
        def __init__(self, **options):
            pass

        def start(self):
            started.update({name: os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "MKL", "OPENBLAS")})

    context = type("Context", (), {"Pipe": lambda self: (open(os.devnull), open(os.devnull)), "Process": lambda self, **_: Process()})
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda kind: context())
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    workers.Worker().pipe.close()
    assert started == {"OMP": "1", "MKL": "1", "OPENBLAS": "1"} and os.environ["OMP_NUM_THREADS"] == "7"


def test_a_run_trains_with_one_thread(spec, monkeypatch):
    import torch

    threads = []
    true_advance = engine.Session.advance
    monkeypatch.setattr(engine.Session, "advance", lambda self, steps: (threads.append(torch.get_num_threads()), true_advance(self, steps)))
    torch.set_num_threads(2)
    try:
        engine.train(spec)
        assert set(threads) == {1} and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_run_that_diverged_is_failed_in_the_tables(project):
    """Train, evaluate, collect: it has a row among the runs that says so, and no score."""
    import pandas as pd

    _edit(project, lambda study: study["train"].update(runs=[
        {"architecture": "ViT-XXS-8", "subset": "small", "samples_seen": 640, "learning_rate": 1e30, "name": "wild"}]))
    for stage in ("train", "evaluate"):
        assert main([stage, "--study", STUDY, "--workers", "1"]) == 0
    assert main(["collect", "--study", STUDY]) == 0
    runs = pd.read_csv(project / "results" / "tiny" / "runs.csv")
    assert runs[["run", "status"]].values.tolist() == [["wild", "failed"]]
    assert pd.read_csv(project / "results" / "tiny" / "scores.csv").empty


def test_the_gpu_study_is_the_papers_design(root):
    study = load_study(str(root / "studies" / "gpu.yaml"))
    runs = study.train.runs
    assert len(runs) >= 40 and len({run.architecture for run in runs}) >= 4
    assert {run.samples_seen for run in runs} == {307_200, 1_331_200, 3_481_600}
    assert len({study.subset_named(run.subset).family for run in runs} - {"icons"}) == 2
    cells = Counter((run.architecture, run.subset, run.samples_seen) for run in runs)
    assert max(cells.values()) == 3 and study.train.precision == "bf16"


def test_budget_that_the_batch_does_not_divide_is_refused(project, capsys):
    _edit(project, lambda study: study["train"]["runs"][0].update(samples_seen=1281))
    assert main(["train", "--study", STUDY]) == 2
    assert "1281" in capsys.readouterr().err


def test_ctrl_c_ends_every_process_and_the_same_command_goes_on(project):
    _edit(project, lambda study: study["train"]["runs"][0].update(samples_seen=3_200_000, name="long"))
    child = subprocess.Popen([sys.executable, "-m", "clip_scaling.cli", "train", "--study", STUDY, "--workers", "1"],
                             stderr=subprocess.PIPE, start_new_session=True, cwd=project)
    children = _until_training(child)
    os.killpg(child.pid, signal.SIGINT)
    said = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 130 and "the same command goes on" in said and "Traceback" not in said
    assert not psutil.wait_procs(children, timeout=10)[1]
    checkpoints = list((project / ".cache" / "checkpoints").glob("*/*.json"))
    assert checkpoints and json.loads(checkpoints[-1].read_text())["step"] > 0


def _until_training(command: subprocess.Popen) -> list[psutil.Process]:
    """Read the bar until a loss is shown; return the command's children."""
    said = b""
    while b"loss 4" not in said and b"loss 3" not in said:
        piece = os.read(command.stderr.fileno(), 4096)
        assert piece, said.decode()
        said += piece
    return psutil.Process(command.pid).children(recursive=True)


def test_killed_parent_leaves_no_child(project):
    _edit(project, lambda study: study["train"]["runs"][0].update(samples_seen=3_200_000, name="long"))
    child = subprocess.Popen([sys.executable, "-m", "clip_scaling.cli", "train", "--study", STUDY, "--workers", "1"],
                             stderr=subprocess.PIPE, cwd=project)
    children = _until_training(child)
    assert children
    child.kill()
    child.communicate()
    assert not psutil.wait_procs(children, timeout=10)[1]


class _FakeWorker:
    """A worker that answers from a script."""

    scripts: dict = {}
    stopped: list = []

    def __init__(self):
        self.spec, self.queue = None, []

    def start(self, spec):
        self.spec, self.queue = spec, list(self.scripts.get(spec.run, [Outcome(Status.FINISHED, "", 1.0, 640)]))

    def ask_to_stop(self):
        self.stopped.append(self)
        self.queue = [Outcome(Status.STOPPED, "", 1.0, 320)] if self.spec else []

    def close(self):
        pass


def _fake_messages(workers, timeout):
    for worker in workers:
        if worker.spec and worker.queue:
            yield worker, worker.queue.pop(0)


@pytest.fixture
def fake_workers(monkeypatch):
    _FakeWorker.scripts, _FakeWorker.stopped = {}, []
    monkeypatch.setattr(schedule, "Worker", _FakeWorker)
    monkeypatch.setattr(schedule, "messages", _fake_messages)
    return _FakeWorker


def test_a_full_disk_in_a_worker_is_the_commands_own(fake_workers, specs):
    fake_workers.scripts = {specs[0].run: [Progress(specs[0].run, 32, 4.0), Failure("full", "", (28, "No space left", "/x"))]}
    with pytest.raises(OSError, match="No space left") as caught:
        schedule.train_all(specs, workers=2)
    assert caught.value.errno == 28 and fake_workers.stopped


def test_a_workers_own_error_is_one_sentence(fake_workers, specs):
    fake_workers.scripts = {specs[0].run: [Failure("run x: its process died")]}
    with pytest.raises(UserError, match="its process died"):
        schedule.train_all(specs, workers=2)


def test_time_that_is_up_stops_every_worker(fake_workers, specs):
    fake_workers.scripts = {spec.run: [] for spec in specs}
    assert schedule.train_all(specs, workers=2, deadline=0.0) is False
    assert len(fake_workers.stopped) == 2


def test_two_names_of_one_specification_are_trained_once(specs):
    import dataclasses

    twin = dataclasses.replace(specs[0], run="twin")
    assert len(schedule.longest_first([*specs, twin])) == len(specs)


def test_publish_gives_a_run_the_studys_names(project, spec):
    from clip_scaling.train.engine import train
    import dataclasses

    train(spec)
    other = dataclasses.replace(spec, study="elsewhere", run="other", subset="big")
    target = finished.publish(other)
    record = read_json(target / "record.json")
    assert (record["study"], record["run"], record["subset"]) == ("elsewhere", "other", "big")
    assert load_file(target / "model.safetensors")

"""`clip-scaling repro`: what a killed reproduction leaves in DVC's lock does not stop the next one."""

import json
import os
import subprocess
import sys

import pytest

from clip_scaling import repro
from clip_scaling.repro import forget_the_dead


@pytest.fixture
def processes():
    """Numbers of a zombie, of a process that runs something called dvc, and of one that runs something else."""
    zombie = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.DEVNULL)
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped
    sleep = "import time; time.sleep(60)"
    dvc, other = (subprocess.Popen([sys.executable, "-c", sleep, word]) for word in ("dvc", "other"))
    yield zombie.pid, dvc.pid, other.pid
    for process in (dvc, other):
        process.kill()
    for process in (zombie, dvc, other):
        process.wait()


def test_only_a_running_dvc_keeps_its_locks(tmp_path, processes):
    zombie, dvc, other = processes
    held = [{"pid": str(pid), "cmd": "dvc repro"} for pid in (zombie, dvc, other, 2**22 + 1)]
    path = tmp_path / "rwlock"
    path.write_text(json.dumps({"read": {"a": held, "b": held[:1]}, "write": {"c": held[0], "d": held[1], "e": held[2]}}))
    forget_the_dead(path)
    assert json.loads(path.read_text()) == {"read": {"a": [held[1]]}, "write": {"d": held[1]}}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"read": 1, "write": {}}'])
def test_a_lock_of_another_form_stays(tmp_path, content):
    path = tmp_path / "rwlock"
    path.write_text(content)
    forget_the_dead(path)
    assert path.read_text() == content


def test_no_lock_is_no_error(tmp_path):
    forget_the_dead(tmp_path / "nowhere" / "rwlock")
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def gpu_study(tmp_path, monkeypatch, root):
    """A project with the gpu study and no GPU; what DVC is started for is noted instead."""
    import torch

    started = []
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.delenv("CLIP_SCALING_CACHE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(repro, "_dvc_repro", lambda root, args: started.append(args.targets) or 0)
    (tmp_path / "dvc.yaml").write_text((root / "dvc.yaml").read_text())
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "gpu.yaml").write_text((root / "studies" / "gpu.yaml").read_text())
    return started


def test_a_study_for_a_gpu_is_refused_at_once_where_there_is_none(gpu_study, clip_scaling):
    for targets in ([], ["train"], ["prepare", "evaluate"]):
        ended = clip_scaling("repro", "--study", "gpu", *targets)
        assert ended.code == 2 and "study gpu is trained on a GPU: no GPU that torch can use" in ended.err
    assert not gpu_study


def test_its_data_are_prepared_without_one(gpu_study, clip_scaling):
    assert clip_scaling("repro", "--study", "gpu", "prepare", "subset").code == 0
    assert gpu_study == [["prepare", "subset"]]


def test_it_needs_none_once_all_runs_are_finished(gpu_study, clip_scaling, monkeypatch):
    from clip_scaling.train import finished, spec

    monkeypatch.setattr(spec, "run_specs", lambda study: ["one"])
    monkeypatch.setattr(finished, "is_finished", lambda one: True)
    assert clip_scaling("repro", "--study", "gpu").code == 0 and gpu_study == [[]]


@pytest.fixture
def project(tmp_path, monkeypatch, root):
    """A folder with the pipeline, whose stages must never be started."""
    import shutil

    folder = tmp_path / "project"
    (folder / "studies").mkdir(parents=True)
    shutil.copy(root / "dvc.yaml", folder)
    shutil.copy(root / "studies" / "smoke.yaml", folder / "studies")
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(folder))
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(folder / ".cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("clip_scaling.repro._dvc_repro", lambda *_: pytest.fail("a stage was started"))
    return folder


HOSTILE = ["a b;touch PWN;.yaml", "$(touch PWN).yaml", "`touch PWN`.yaml", "a&touch PWN&.yaml", "a|touch PWN.yaml",
           "a\ntouch PWN\n.yaml", "a>PWN.yaml", "a'b.yaml", 'a"b.yaml', "~x.yaml", "a*.yaml", "${study}.yaml", "a\\b.yaml", "ä.yaml"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["argument", "params", "folder"])
def test_a_path_that_a_shell_may_obey_is_refused(project, clip_scaling, root, name, place):
    file = project.parent / (f"{name}/my.yaml" if place == "folder" else name)
    file.parent.mkdir(exist_ok=True)
    file.write_text((root / "studies/smoke.yaml").read_text().replace("study: smoke", "study: mine"))
    if place == "params":
        (project / "params.yaml").write_text(json.dumps({"study": "mine", "study_file": str(file)}))
        said = clip_scaling("repro", "prepare")
    else:
        said = clip_scaling("repro", "prepare", f"--study={file}" if place == "folder" else f"--study=../{name}")
    assert said.code == 2 and "a shell may obey" in said.err and said.err.count("\n") == 1
    assert not list(project.parent.rglob("PWN"))
    assert place == "params" or not (project / "params.yaml").exists()


@pytest.mark.parametrize("stage", ["train;touch PWN", "$(x)", "a b"])
def test_a_stage_that_is_none_is_refused(project, clip_scaling, stage):
    said = clip_scaling("repro", "--study", "smoke", stage)
    assert said.code == 2 and "STAGE" in said.err


def test_a_file_is_no_option(project, clip_scaling, root):
    (project / "-x.yaml").write_text((root / "studies/smoke.yaml").read_text())
    said = clip_scaling("repro", "--study=-x.yaml")
    assert said.code == 2 and "no - in front" in said.err


@pytest.mark.parametrize(("old", "new", "said"), [
    ("power_floor", "power_flour", "unknown form 'power_flour'"), ("name: ViT-XXS-8", "name: ViT-XXL-8", "nknown architecture"),
    ("study: smoke", "study: published", "is taken"), ("study: smoke", "study: cpu", "is taken")])
def test_what_a_stage_would_refuse_after_minutes_is_refused_at_once(project, clip_scaling, old, new, said):
    text = (project / "studies/smoke.yaml").read_text().replace(old, new)
    (project / "my.yaml").write_text(text)
    done = clip_scaling("repro", f"--study={project}/my.yaml")
    assert done.code == 2 and said in done.err and not (project / "params.yaml").exists()


@pytest.mark.parametrize("line", ["  evaluation: null\n", "    control: icons\n", "    shifts: [icons-designers, icons-pixel]\n"])
def test_a_field_that_dvc_cannot_watch_is_a_sentence(project, clip_scaling, line):
    """It has a default, so the study is valid; DVC would end with an error of its own."""
    text = (project / "studies/smoke.yaml").read_text()
    (project / "my.yaml").write_text(text.replace("study: smoke", "study: mine").replace(line, ""))
    said = clip_scaling("repro", f"--study={project}/my.yaml")
    assert said.code == 2 and f"{line.split(':')[0].strip()} is not stated" in said.err


@pytest.mark.parametrize("name", ["cpu", "smoke", "gpu", "laion"])
def test_shipped_studies_state_all_that_is_tracked(root, name):
    from clip_scaling.dag import tracked
    from clip_scaling.repro import _check_tracked

    _check_tracked(root / "studies" / f"{name}.yaml", tracked(root / "dvc.yaml"))

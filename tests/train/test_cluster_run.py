"""The cluster engine for real: torchrun, two processes, gloo, on this machine."""

import argparse
import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from clip_scaling.core import paths, schema
from clip_scaling.core.errors import UserError
from clip_scaling.train.cluster import run_study

from cluster_fixture import forget_hashes, tiny_study, write_subset


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path / ".cache"))
    return tmp_path


@pytest.fixture
def served(root):
    """The address of a server of the project's root."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _args(**options):
    return argparse.Namespace(**({"dry_run": False, "runs": None, "executor": "local"} | options))


@pytest.mark.slow
def test_two_processes_train_and_their_weights_come_back(root, capsys):
    import pandas as pd
    import torch
    from clip_scaling.train.models import load_model

    write_subset()
    study = tiny_study(tiny_study().model_dump()["train"]["runs"][:1])
    assert run_study(study, _args()) == 0
    folder = paths.runs("tiny") / "ViT-XXS-8_all_512_s0"
    model, tokenizer = load_model(folder)
    features = model.encode_text(tokenizer(["a red square", "a blue square"]))
    assert torch.isfinite(features).all() and not torch.equal(features[0], features[1])
    record, timing = (json.load(open(folder / f"{name}.json")) for name in ("record", "timing"))
    schema.validate(pd.DataFrame([record]), schema.RUNS)
    schema.validate(pd.DataFrame([timing]), schema.TIMINGS)
    assert (record["samples_seen"], record["batch_size"], record["status"]) == (512, 32, "finished")
    assert record["unique_samples"] == 256 and timing["samples_per_second"] > 0
    pairs = json.load(open(folder / "pairs.json"))
    assert pairs == {"read": 512, "passed_over": {}, "shards_cut_short": 0, "epochs_not_counted": 0, "shards": 4,
                     "shards_checked": 4}
    assert capsys.readouterr().err.splitlines()[-1] == "ViT-XXS-8_all_512_s0: 512 pairs read, none passed over"
    curve = pd.read_csv(folder / "loss.csv")
    assert set(curve["samples_seen"]) == {32, 256, 288, 512} and curve["loss"].between(0, 10).all()
    weights = (folder / "model.safetensors").read_bytes()
    assert run_study(study, _args()) == 0, "a finished run is published again, not trained again"
    assert (folder / "model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_two_nodes_meet_and_train_one_model(root):
    """Two torchruns with the arguments of a run on two nodes, here on one host."""
    from clip_scaling.train.cluster.arguments import WORKER, torchrun_arguments, worker_arguments
    from clip_scaling.train.cluster.collect import collect, prepare
    from clip_scaling.train.cluster.plan import plans

    write_subset()
    study = tiny_study(tiny_study().model_dump()["train"]["runs"][:1], gpus_per_node=1)
    (plan,) = plans(study)
    assert (plan.nodes, plan.gpus_per_node) == (2, 1)
    job = prepare(study, plan)
    command = [sys.executable, "-m", "torch.distributed.run", *torchrun_arguments(2, 1, head="localhost", job="trial"),
               "-m", "--", WORKER, *worker_arguments(study, plan, job.places)]
    nodes = [subprocess.Popen(command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}) for _ in range(2)]
    assert [node.wait(900) for node in nodes] == [0, 0]
    log = (job.places.folder / plan.run / "out.log").read_text()
    assert "total 2" in log
    assert (collect(study, job) / "model.safetensors").is_file()


def test_data_that_are_not_there_are_said_before_anything_is_submitted(root):
    with pytest.raises(UserError, match="subset all is not drawn"):
        run_study(tiny_study(), _args())
    assert not (root / ".cache").exists()


def test_shards_that_are_gone_are_said(root):
    write_subset()
    (paths.subsets("tiny") / "00002.tar").unlink()
    with pytest.raises(UserError, match="1 of 4 shards are not there, such as .*00002.tar"):
        run_study(tiny_study(), _args())


def test_no_slurm_is_said(root, monkeypatch):
    write_subset()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match="no sbatch on this machine"):
        run_study(tiny_study(), _args(executor="slurm"))


def test_too_few_shards_for_the_loaders_are_said(root):
    write_subset(shards=1, samples=256)
    with pytest.raises(UserError, match="1 shards for 2 loader workers"):
        run_study(tiny_study(), _args())


def _remote(path, urls):
    shards = [{"path": url, "samples": 64} for url in urls]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shards": shards}))


def test_a_remote_shard_that_is_not_there_is_said_before_anything_starts(root, served):
    write_subset()
    _remote(paths.subsets("tiny") / "all.json", [f"{served}/gone/{number}.tar" for number in range(4)])
    with pytest.raises(UserError, match="gone/0.tar: is not there"):
        run_study(tiny_study(), _args())
    assert not list(root.rglob("*.err"))


def test_a_pipe_is_refused_before_anything_starts(root):
    write_subset()
    _remote(paths.subsets("tiny") / "all.json", [f"pipe:touch {root}/ran; cat {number}.tar" for number in range(4)])
    with pytest.raises(UserError, match="would run a shell command; add --allow-pipe"):
        run_study(tiny_study(), _args())
    assert not list(root.rglob("*.err")) and not (root / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "pictures"])
def test_training_on_shards_without_a_usable_pair_ends_and_says_so(root, kind):
    write_subset()
    forget_hashes()
    for tar in paths.subsets("tiny").glob("*.tar"):
        content = tar.read_bytes()
        tar.write_bytes(os.urandom(len(content)) if kind == "noise" else content.replace(b"JFIF", b"xxxx")
                        .replace(bytes.fromhex("ffd8"), b"no"))
    study = tiny_study(tiny_study().model_dump()["train"]["runs"][:1])
    with pytest.raises(UserError, match=r"all.json: no usable pair in \d+ shards in a row, the last of them .*.tar"):
        run_study(study, _args())
    assert sum(path.stat().st_size for path in root.rglob("*.err")) < 50_000_000


@pytest.mark.slow
@pytest.mark.parametrize("damage", [lambda content: content[:-20_000], lambda content: b""], ids=["truncated", "empty"])
def test_a_shard_that_is_not_that_of_its_manifest_is_not_trained_on(root, damage):
    write_subset()
    path = paths.subsets("tiny") / "00003.tar"
    path.write_bytes(damage(path.read_bytes()))
    study = tiny_study(tiny_study().model_dump()["train"]["runs"][:1])
    with pytest.raises(UserError, match=r"00003\.tar: is not the shard of its manifest .*; fetch or copy it again"):
        run_study(study, _args())
    assert not list(root.rglob("epoch_*.pt")) and not paths.runs("tiny").exists()


@pytest.mark.slow
def test_pairs_that_two_processes_pass_over_are_counted_and_told(root, capsys):
    """An epoch takes 256 pairs; what is passed over is made up for by reading the same shards again."""
    write_subset()
    forget_hashes()
    path = paths.subsets("tiny") / "00001.tar"
    path.write_bytes(path.read_bytes()[:512])  # a header alone
    study = tiny_study(tiny_study().model_dump()["train"]["runs"][:1])
    assert run_study(study, _args()) == 0
    pairs = json.load(open(paths.runs("tiny") / "ViT-XXS-8_all_512_s0" / "pairs.json"))
    (lost,) = pairs["passed_over"].values()
    assert lost and lost % 64 == 0 and pairs["read"] >= 512 and pairs["shards_checked"] == pairs["epochs_not_counted"] == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{lost:,} passed over ({lost:,} x not in its shard" in said and "4 of 4 shards not checked by SHA-256" in said


@pytest.mark.slow
def test_a_machine_without_the_gpus_asked_for_is_said(root, monkeypatch):
    write_subset()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match=r"train.cluster.device: 0 GPUs on this machine, 2 asked for; ask for a part"):
        run_study(tiny_study(device="cuda"), _args(runs=["ViT-XXS-8_all_512_s0"]))


@pytest.mark.parametrize(
    ("options", "cluster", "said"),
    [
        ({"workers": 0}, {}, "--workers 0 trains nothing; give 1 or more"),
        ({"workers": -1}, {}, "--workers -1 trains nothing"),
        ({"no_wait": True}, {}, "--no-wait does not go with --executor local"),
        ({}, {"gpus_per_node": 1}, "2 nodes, and --executor local has one; set gpus to 1 or less"),
        ({"json": True}, {}, "--json and --table are two forms of --dry-run"),
        ({"json": True, "table": True, "dry_run": True}, {}, "give --dry-run with one of them"),
    ],
)
def test_options_that_cannot_go_together_are_refused(root, options, cluster, said):
    write_subset()
    with pytest.raises(UserError, match=said):
        run_study(tiny_study(**cluster), _args(**options))
    assert not list(root.rglob("*.err"))


def test_two_commands_do_not_train_one_run(root):
    from clip_scaling.train.cluster.collect import prepare
    from clip_scaling.train.cluster.plan import plans
    from filelock import FileLock

    write_subset()
    job = prepare(tiny_study(), plans(tiny_study())[1])
    with FileLock(job.places.folder / "train.lock"):
        with pytest.raises(UserError, match="run ViT-XXS-8_all_768_s0: another command trains this run; wait"):
            run_study(tiny_study(), _args())
    assert not list(root.rglob("*.err"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command_and_what_it_started(root, number, code):
    write_subset()
    study = tiny_study([tiny_study().model_dump()["train"]["runs"][0] | {"samples_seen": 2_560_000, "epochs": 10_000}])
    (root / "tiny.yaml").write_text(json.dumps(study.model_dump()))
    words = [sys.executable, "-m", "clip_scaling.cli", "train", "--study", root / "tiny.yaml", "--executor", "local"]
    command = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list(root.rglob("attempts.jsonl")) and command.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    (trainer,) = _children(command.pid)
    command.send_signal(number)
    said = command.communicate(timeout=60)[1]
    assert command.returncode == code and "Traceback" not in said
    assert not os.path.exists(f"/proc/{trainer}")


def _children(parent):
    """Processes whose parent is `parent`."""
    stats = {path.parent.name: path.read_text() for path in Path("/proc").glob("[0-9]*/stat")}
    parents = {child: stat.rpartition(")")[2].split()[1] for child, stat in stats.items()}
    return [int(child) for child, its_parent in parents.items() if its_parent == str(parent)]


def test_what_sbatch_refuses_is_said(root, monkeypatch):
    write_subset()
    (root / "bin").mkdir()
    refusal = "echo 'sbatch: error: Batch job submission failed: Invalid partition name' >&2; exit 1"
    for name, line in (("sbatch", refusal), ("srun", "exit 0"), ("squeue", "exit 0")):
        (root / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (root / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{root}/bin:{os.environ['PATH']}")
    with pytest.raises(UserError, match=r"sbatch refused the jobs \(.*Invalid partition name\); mend partition"):
        run_study(tiny_study(), _args(executor="slurm"))


def test_a_dry_run_prints_commands_that_can_be_run(root, capsys):
    write_subset()
    assert run_study(tiny_study(), _args(dry_run=True)) == 0
    out = capsys.readouterr().out
    for option in ("--manifest", "--model-config"):
        assert all(Path(part.split()[0]).is_file() for part in out.split(f"{option} ")[1:])
    assert out.count("torchrun ") == 2 and "cannot be run yet" not in out


def test_a_dry_run_says_what_is_not_there_and_names_the_study_as_given(root, capsys):
    assert run_study(tiny_study(), _args(dry_run=True, study="mine/my.yaml")) == 0
    out = capsys.readouterr().out
    assert "# cannot be run yet:" in out and "`clip-scaling subset --study mine/my.yaml`" in out


@pytest.mark.parametrize("note", ["{", "[" * 500_000, "[]", '{"job": 3, "executor": "slurm"}'])
def test_a_note_that_names_no_job_is_one_sentence(root, note):
    from clip_scaling.train.cluster.collect import prepare
    from clip_scaling.train.cluster.plan import plans
    from clip_scaling.train.cluster.submit import _Slurm

    write_subset()
    job = prepare(tiny_study(), plans(tiny_study())[0])
    (job.places.folder / "job.json").write_text(note)
    for ask in (_Slurm(tiny_study(), False).holds, _Slurm(tiny_study(), False).log):
        with pytest.raises(UserError, match=r"job\.json: .*; remove it once no job of this run waits or runs"):
            ask(job)


@pytest.mark.slow
def test_a_failed_run_names_its_log(root):
    write_subset()
    study = tiny_study([tiny_study().model_dump()["train"]["runs"][0] | {"precision": "none-such"}])
    with pytest.raises(UserError, match=r"_0_log.err: 1 of 1 runs did not finish: ViT-XXS-8_all_512_s0; read the log"):
        run_study(study, _args())
    assert not paths.runs("tiny").exists()

"""What the worker changes about open_clip_train, each by itself."""

import argparse
import functools
import gzip
import http.server
import importlib.util
import io
import os
import pickle
import tarfile
import threading
import types

import numpy as np
import pytest
from cluster_fixture import write_shard
from clip_scaling.core.errors import UserError
from clip_scaling.core.files import read_json
from clip_scaling.subset.at_scale import kept_keys, select
from clip_scaling.subset.at_scale_remote import fetched, open_shard, told_in_a_sentence
from clip_scaling.subset.at_scale_tiny import write_pool
from clip_scaling.train.cluster.attempts import read_diary
from clip_scaling.train.cluster.worker import shard_paths


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    write_pool(folder, shards=2, pairs=24, failed=3)
    return folder


@pytest.fixture
def server(pool):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(pool / "shards"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_shards_are_read_over_http(pool, server, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path))
    content = (pool / "shards" / "00000.tar").read_bytes()
    with open_shard(f"{server}/00000.tar") as file:
        assert file.read() == content
    assert fetched(f"{server}/00000.tar").read_bytes() == content
    with pytest.raises(UserError, match="9.tar: is not there; check the address"):
        open_shard(f"{server}/9.tar")


def test_a_pipe_runs_only_on_request(tmp_path):
    ran = tmp_path / "ran"
    url = f"pipe:touch {ran}; cat /dev/null"
    manifest = {"shards": [{"path": url, "samples": 1}]}
    shards = functools.partial(shard_paths, manifest, tmp_path / "m")
    for attempt in (lambda: open_shard(url), lambda: fetched(url), lambda: shards(False)):
        with pytest.raises(UserError, match="would run a shell command"):
            attempt()
    assert not ran.exists()
    assert shards(True) == [url]
    with open_shard(url, allow_pipe=True) as file:
        file.read()
    assert ran.exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nosuch://bucket/0.tar", "cannot be opened .*nosuch.*; check address"),
        ("s3://bucket/0.tar", "cannot be opened .*s3fs.*; install that package"),
        ("http://127.0.0.1:9/0.tar", "cannot be reached .*127.0.0.1:9.*; check address, network"),
    ],
)
def test_a_storage_that_cannot_be_asked_is_said(url, said, tmp_path):
    if url.startswith("s3") and importlib.util.find_spec("s3fs"):
        pytest.skip("s3fs is installed")
    with pytest.raises(UserError, match=said):
        open_shard(url)
    with pytest.raises(UserError, match=said):
        select(url.replace("0.tar", "0.parquet"), name="s", family="f", samples=1, output=tmp_path, quiet=True)


def test_what_a_storage_package_raises_of_its_own_becomes_a_sentence():
    with pytest.raises(UserError, match=r"s3://b/0: cannot be opened \(Unable to locate credentials\)"):
        with told_in_a_sentence("s3://b/0"):
            raise type("NoCredentialsError", (Exception,), {})("Unable to locate credentials")


def test_only_drawn_pairs_reach_the_trainer(pool, tmp_path):
    import webdataset as wds
    from clip_scaling.train.cluster.worker import _keep_drawn_pairs, drawn_pairs
    from clip_scaling.train.openclip import open_clip  # noqa: F401 - torchvision first
    from open_clip_train import data

    drawn = select(f"{pool}/shards/*.parquet", name="s", family="f", samples=20, output=tmp_path, quiet=True)
    manifest, whole = read_json(drawn.manifest), data.filter_no_caption_or_no_image
    try:
        shards = [entry["path"] for entry in manifest["shards"]]
        _keep_drawn_pairs(data, drawn_pairs(manifest, shards, tmp_path))
        samples = wds.DataPipeline(wds.SimpleShardList(shards), data.tarfile_to_samples_nothrow,
                                   wds.select(data.filter_no_caption_or_no_image))
        found = sorted(sample["__key__"] for sample in samples)
    finally:
        data.filter_no_caption_or_no_image = whole
    expected = [kept_keys(tmp_path / entry["keys"], entry["path"]) for entry in manifest["shards"]]
    assert found == sorted(frozenset.union(*expected)) and len(found) == 20


class _Runs:
    """Pickled code."""

    def __init__(self, ran):
        self.ran = ran

    def __reduce__(self):
        return (os.mkdir, (str(self.ran),))


@pytest.mark.parametrize("kind", ["pyd", "pickle", "pickle.gz", "pth", "npy", "cls"])
def test_members_beside_pairs_are_not_decoded(tmp_path, monkeypatch, kind):
    """open_clip_train's own pipeline, over a shard whose samples bring pickled code."""
    from clip_scaling.train.cluster.worker import _decode_pairs_alone
    from clip_scaling.train.openclip import open_clip  # noqa: F401 - torchvision first
    from open_clip_train import data

    ran, shard = tmp_path / "ran", tmp_path / "0.tar"
    write_shard(shard, 0, samples=8)
    code = pickle.dumps(_Runs(ran))
    code = gzip.compress(code) if kind.endswith("gz") else code
    with tarfile.open(shard, "a") as tar:  # after the last sample: a member of it
        info = tarfile.TarInfo(f"000000007.{kind}")
        info.size = len(code)
        tar.addfile(info, io.BytesIO(code))
    monkeypatch.setattr(data.wds, "decode", data.wds.decode)  # put back after the test
    _decode_pairs_alone(data)
    options = argparse.Namespace(val_data=str(shard), val_num_samples=8, workers=0, batch_size=4, dataset_resampled=False,
                                 seed=0, world_size=1, train_data_upsampling_factors=None)
    made = data.get_wds_dataset(options, lambda image: np.asarray(image)[:36, :40], False, tokenizer=lambda text: [text])
    assert [text for _, texts in made.dataloader for text in texts][-1] == "a white square"
    assert not ran.exists()


@pytest.mark.parametrize("broken", [False, True])
def test_a_loader_gives_up_only_where_no_pair_comes_through(pool, tmp_path, monkeypatch, broken):
    import webdataset as wds
    from clip_scaling.train.cluster.worker import _give_up_without_pairs
    from clip_scaling.train.openclip import open_clip  # noqa: F401 - torchvision first
    from open_clip_train import data

    for module, name in ((data, "tarfile_to_samples_nothrow"), (data.wds, "to_tuple")):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back after the test
    shards = [str(pool / "shards" / f"{number:05d}.tar") for number in range(2)] + [str(tmp_path / "gone.tar")]
    shards = [str(tmp_path / f"{number}.tar") for number in range(3)] if broken else shards
    _give_up_without_pairs(data, len(shards), tmp_path / "m.json")
    # Drawn with replacement, the shuffle takes a thousand pairs, some sixty of these shards, before the first leaves it.
    pipeline = wds.DataPipeline(data.ResampledShards2(shards, deterministic=True), data.tarfile_to_samples_nothrow,
                                data.detshuffle2(5000, 1000), wds.select(data.filter_no_caption_or_no_image),
                                data.wds.to_tuple("jpg", "txt"))
    if broken:
        with pytest.raises(UserError, match=r"m.json: no usable pair in 3 shards in a row"):
            next(iter(pipeline))
    else:
        assert len([pair for pair, _ in zip(pipeline, range(3000), strict=False)]) == 3000


def test_a_checkpoint_is_whole_or_not_there_and_never_of_nan(tmp_path):
    import torch
    from clip_scaling.train.cluster.attempts import Attempts
    from clip_scaling.train.cluster.worker import _save_whole_or_not_at_all

    trainer = types.SimpleNamespace(torch=torch)
    attempts = Attempts(tmp_path / "attempts.jsonl")
    attempts.begin()
    _save_whole_or_not_at_all(trainer, attempts)
    good = {"epoch": 1, "state_dict": {"w": torch.ones(3)}}
    trainer.torch.save(good, str(tmp_path / "epoch_1.pt"))
    assert torch.load(tmp_path / "epoch_1.pt", weights_only=True)["epoch"] == 1
    with pytest.raises(SystemExit, match=r"not finite after epoch 2 \(w\)"):
        bad = {"epoch": 2, "state_dict": {"w": torch.tensor([float("nan")])}}
        trainer.torch.save(bad, str(tmp_path / "epoch_2.pt"))
    with pytest.raises(AttributeError):  # cut off in the middle of writing: nothing under the name
        trainer.torch.save({"epoch": 3, "state_dict": {"w": 1}}, str(tmp_path / "epoch_3.pt"))
    assert [path.name for path in tmp_path.glob("*.pt")] == ["epoch_1.pt"]
    assert trainer.torch.ones is torch.ones and read_diary(tmp_path / "attempts.jsonl").epoch == 1


def test_a_diary_adds_the_time_of_all_attempts(tmp_path):
    lines = ['{"event": "begin", "time": "a", "device": "A100", "versions": "v"}',
             '{"event": "checkpoint", "time": "b", "epoch": 1, "seconds": 10.0}',
             '{"event": "checkpoint", "time": "c", "epoch": 2, "seconds": 20.0}',
             '{"event": "begin", "time": "d", "device": "A100", "versions": "v"}',
             '{"event": "checkpoint", "time": "e", "epoch": 3, "seconds": 11.5}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    diary = read_diary(tmp_path / "a.jsonl")
    assert (diary.attempts, diary.epoch, diary.seconds, diary.finished_at) == (2, 3, 31.5, "e")
    assert read_diary(tmp_path / "none.jsonl").attempts == 0


@pytest.mark.parametrize("line", ['{"event": "beg', "[]", "[" * 500_000, "\0"])
def test_a_broken_line_of_a_diary_is_one_sentence(tmp_path, line):
    (tmp_path / "a.jsonl").write_text('{"event": "begin", "device": "A100", "versions": "v"}\n' + line)
    with pytest.raises(UserError, match=r"a\.jsonl: is no.* JSON.*; remove that line"):
        read_diary(tmp_path / "a.jsonl")


def test_a_log_folder_in_the_way_ends_in_exit_code_1(tmp_path, capsys, monkeypatch):
    import json

    from clip_scaling.train.cluster import worker
    from clip_scaling.train.models import architecture
    from open_clip_train import main as trainer

    monkeypatch.setattr(trainer, "main", lambda arguments: -1)
    (tmp_path / "s.json").write_text(json.dumps({"samples": 1, "shards": [{"path": "0.tar", "samples": 1}]}))
    (tmp_path / "ViT-XXS-8.json").write_text(json.dumps(architecture("ViT-XXS-8")))
    for name in ("_shuffle_from_the_seed", "_let_cpus_train_together", "count_pairs", "note_epochs"):  # change modules
        monkeypatch.setattr(worker, name, lambda *_: None)
    monkeypatch.setattr(trainer, "torch", trainer.torch)
    code = worker.main(["--manifest", str(tmp_path / "s.json"), "--model-config", str(tmp_path / "ViT-XXS-8.json"),
                        "--attempts", str(tmp_path / "a.jsonl"), "--", "--name", "x"])
    assert code == 1 and "log folder in its way" in capsys.readouterr().err

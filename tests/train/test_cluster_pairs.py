"""Pairs that open_clip_train passes over are counted; shards that are not those of the manifest are refused."""

import io
import json
import tarfile
import types
from collections import Counter

import pytest
from cluster_fixture import write_shard
from clip_scaling.core.files import sha256
from clip_scaling.train.cluster.pairs import LOST, Account, Count, Tally, account, count_pairs, note_epochs, read_account
from clip_scaling.train.cluster.worker import expect_shards_of_their_manifest, main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PAIRS = 16  # of a shard


def _without(path, *names):
    """Rewrite a tar without some members."""
    with tarfile.open(path) as tar:
        kept = [(member, tar.extractfile(member).read()) for member in tar if member.name not in names]
    _write(path, kept)


def _with(path, name, content):
    with tarfile.open(path) as tar:
        kept = [(member, content if member.name == name else tar.extractfile(member).read()) for member in tar]
    _write(path, kept)


def _write(path, members):
    with tarfile.open(path, "w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _flip_header_of(path, name):
    """Python's reader takes a broken header in the middle for the end, and says nothing."""
    with tarfile.open(path) as tar:
        offset = tar.getmember(name).offset
    content = bytearray(path.read_bytes())
    content[offset + 100] ^= 1
    path.write_bytes(content)


def _cut(path, name, behind=0):
    """Keep what stands before a member, and some bytes."""
    with tarfile.open(path) as tar:
        offset = tar.getmember(name).offset
    path.write_bytes(path.read_bytes()[:offset + behind])


DAMAGE = {
    "whole": (lambda path: None, {}),
    "no caption": (lambda path: _without(path, "000000003.txt", "000000007.txt"), {Count.NO_CAPTION: 2}),
    "no image": (lambda path: _without(path, "000000000.jpg"), {Count.NO_IMAGE: 1}),
    "neither": (lambda path: _without(path, "000000002.jpg", "000000002.txt", "000000002.json"), {Count.MISSING: 1}),
    "image of noise": (lambda path: _with(path, "000000015.jpg", b"\xff\xd8 no picture"), {Count.UNDECODED: 1}),
    "empty image": (lambda path: _with(path, "000000001.jpg", b""), {Count.UNDECODED: 1}),
    "caption of other bytes": (lambda path: _with(path, "000000004.txt", b"\xff\xfe"), {Count.CAPTION_ENCODING: 1}),
    "empty shard": (lambda path: path.write_bytes(b""), {Count.MISSING: PAIRS}),
    "noise": (lambda path: path.write_bytes(bytes(range(256)) * 40), {Count.MISSING: PAIRS}),
    "gone": (lambda path: path.unlink(), {Count.MISSING: PAIRS}),
    "header broken in silence": (lambda path: _flip_header_of(path, "000000010.jpg"), {Count.MISSING: 6}),
    "cut between pairs": (lambda path: _cut(path, "000000009.jpg"), {Count.MISSING: 7}),
    "cut within a pair": (lambda path: _cut(path, "000000009.json"), {Count.NO_CAPTION: 1, Count.MISSING: 6}),
    "cut within a member": (lambda path: _cut(path, "000000009.jpg", 600), {Count.MISSING: 7}),
}


@pytest.fixture
def data(monkeypatch):
    from clip_scaling.train.openclip import open_clip  # noqa: F401 - torchvision first
    from open_clip_train import data

    for name in ("tarfile_to_samples_nothrow", "log_and_continue"):
        monkeypatch.setattr(data, name, getattr(data, name))  # put back after the test
    return data


def _counted(data, shards, stated, workers=0, drawn=lambda sample: True):
    """Keys that reach a batch, and what was counted, over the stages of open_clip_train in which pairs are lost."""
    import torch
    import webdataset as wds

    tally, before = Tally(), (data.tarfile_to_samples_nothrow, data.log_and_continue)
    count_pairs(data, tally, stated, drawn)
    pipeline = wds.DataPipeline(
        wds.SimpleShardList([str(shard) for shard in shards]), wds.split_by_worker, data.tarfile_to_samples_nothrow,
        wds.select(data.filter_no_caption_or_no_image), wds.decode("pilrgb", handler=data.log_and_continue),
        wds.rename(image="jpg;png;jpeg;webp", text="txt"), wds.to_tuple("__key__", "text"))
    data.tarfile_to_samples_nothrow, data.log_and_continue = before
    loader = torch.utils.data.DataLoader(pipeline, batch_size=None, num_workers=workers)
    return [key for key, _ in loader], {what: number for what, number in tally.take().items() if number}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_a_shard_loses_is_counted_by_reason(tmp_path, data, damage):
    path, (harm, expected) = tmp_path / "0.tar", DAMAGE[damage]
    write_shard(path, 0, PAIRS)
    harm(path)
    keys, found = _counted(data, [path], {str(path): PAIRS})
    read = found.pop(Count.READ, 0)
    assert found == expected and len(keys) == PAIRS - sum(expected.values())
    assert read == PAIRS - expected.get(Count.MISSING, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_counts_of_all_loader_processes_are_added(tmp_path, data, workers):
    shards = [tmp_path / f"{number}.tar" for number in range(2 * len(DAMAGE))]
    for shard, (harm, _) in zip(shards, [*DAMAGE.values()] * 2, strict=True):
        write_shard(shard, 0, PAIRS)
        harm(shard)
    keys, found = _counted(data, shards, {str(shard): PAIRS for shard in shards}, workers)
    expected = Counter()
    for _, lost in [*DAMAGE.values()] * 2:
        expected.update(lost)
    found.pop(Count.READ)
    assert found == expected and len(keys) + sum(expected.values()) == len(shards) * PAIRS


def test_a_shard_of_unknown_length_that_breaks_off_is_counted_as_such(tmp_path, data):
    path = tmp_path / "0.tar"
    write_shard(path, 0, PAIRS)
    _cut(path, "000000009.jpg", 600)
    assert _counted(data, [path], {str(path): None})[1] == {Count.READ: 9, Count.SHARD_CUT_SHORT: 1}


def test_only_drawn_pairs_are_missed(tmp_path, data):
    path = tmp_path / "0.tar"
    write_shard(path, 0, PAIRS)
    _without(path, "000000003.txt", "000000004.txt", "000000004.jpg", "000000004.json")
    drawn = {f"00000000{number}" for number in (2, 3, 4)}
    found = _counted(data, [path], {str(path): 3}, drawn=lambda sample: sample["__key__"] in drawn)[1]
    assert found == {Count.READ: 2, Count.NO_CAPTION: 1, Count.MISSING: 1}


_PLACE = st.integers(0, 70_000)


@given(st.lists(st.tuples(_PLACE, st.integers(1, 255)), max_size=3), st.one_of(st.none(), _PLACE))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_damage_no_pair_is_lost_without_a_count(tmp_path, data, edits, cut):
    path = tmp_path / "0.tar"
    write_shard(path, 0, PAIRS)
    content = bytearray(path.read_bytes()[:cut])
    for place, change in edits:
        if place < len(content):
            content[place] ^= change
    path.write_bytes(content)
    keys, found = _counted(data, [path], {str(path): PAIRS})
    assert len(keys) + sum(found.get(reason, 0) for reason in LOST) == PAIRS


def test_an_epoch_that_was_trained_twice_counts_once(tmp_path, monkeypatch):
    tally = Tally()
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        trainer = types.SimpleNamespace(train_one_epoch=lambda model, data, loss, epoch: tally.add(Count.NO_IMAGE, loss))
        note_epochs(trainer, tally, tmp_path)
        tally.add(Count.NO_IMAGE, 1000)  # what was prepared before an epoch is none of it
        for epoch, lost in ((0, 1), (1, 50), (1, 2)) if rank == "0" else ((0, 4),):
            trainer.train_one_epoch(None, None, lost, epoch)
    with open(tmp_path / "1.jsonl", "a") as file:
        file.write('{"epoch": 1, "pai')  # cut off by a kill
    found = account(tmp_path, ranks=2, epochs=2, shards=3, shards_checked=1)
    assert found == Account(0, {"no image": 7}, 0, 1, 3, 1) and found.lost == 7
    assert str(found) == ("0 pairs read, 7 passed over (7 x no image), 1 epochs of a process not counted, "
                          "2 of 3 shards not checked by SHA-256")
    (tmp_path / "pairs.json").write_text(json.dumps(found.as_json()))
    assert read_account(tmp_path / "pairs.json") == found and read_account(tmp_path / "none.json") is None


HARM = {
    "truncated": lambda content: content[:-600], "empty": lambda content: b"", "longer": lambda content: content + bytes(512),
    "flipped bit": lambda content: content[:700] + bytes([content[700] ^ 1]) + content[701:], "gone": None,
}


@pytest.mark.parametrize("harm", HARM)
def test_another_shard_than_stated_is_refused_by_the_process_that_checks_it(tmp_path, capsys, monkeypatch, harm):
    shards = []
    for number in range(4):
        path = tmp_path / f"{number}.tar"
        write_shard(path, number, 4)
        shards.append({"path": path.name, "sha256": sha256(path), "samples": 4})
    shards.append({"path": "http://127.0.0.1:9/4.tar", "sha256": shards[0]["sha256"], "samples": 4})
    (tmp_path / "s.json").write_text(json.dumps({"samples": 20, "shards": shards}))
    content = path.read_bytes()
    path.unlink() if HARM[harm] is None else path.write_bytes(HARM[harm](content))
    words = ["--manifest", tmp_path / "s.json", "--model-config", tmp_path / "none.json", "--attempts", tmp_path / "a.jsonl"]
    words = [str(word) for word in [*words, "--", "--device", "cpu"]]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert main(words) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "3.tar: " in said[0] and "fetch or copy it again" in said[0]
    monkeypatch.setenv("RANK", "0")
    names = [*(str(tmp_path / f"{number}.tar") for number in range(4)), "http://127.0.0.1:9/4.tar"]
    expect_shards_of_their_manifest({"shards": shards}, names)
    assert "1 of 5 shards are not checked: remote, or without a SHA-256" in capsys.readouterr().err

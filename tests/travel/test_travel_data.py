"""A study's data in one file: whole there, small, and of this state of the study."""

import io
import json
import tarfile

import numpy as np
import pytest
from hostile_tars import HOSTILE, SAID, write_hostile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clip_scaling.core.study import load_study
from clip_scaling.train.packed import packed
from clip_scaling.train.spec import run_specs
from clip_scaling.travel import archive
from clip_scaling.travel.data import tabled, unpack


@given(arrays(np.uint8, st.tuples(st.integers(0, 6), st.just(4), st.just(4), st.just(3)), elements=st.integers(0, 1)))
@settings(max_examples=50, deadline=None)
def test_images_survive(images):
    table, rows = tabled(images)
    assert np.array_equal(table[rows], images)


def test_equal_images_are_kept_once_and_grey_ones_as_one_plane():
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.integers(0, 256, (5, 8, 8, 1), dtype=np.uint8), 3, axis=3)
    coloured = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    table, rows = tabled(np.concatenate([grey, coloured, grey, coloured[:1]]))
    assert table.grey.shape == (5, 8, 8) and table.coloured.shape == (2, 8, 8, 3)
    assert np.array_equal(rows[7:12], rows[:5]) and rows[12] == rows[5]


def _same(specs, here) -> None:
    found = run_specs(load_study("tiny"))
    assert [spec.digest for spec in found] == [spec.digest for spec in specs]
    data = packed(found[0])
    for one, other in zip(here.images + here.tokens, data.images + data.tokens, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("split", [[], ["--split", "0.2"]])
def test_a_packed_study_is_whole_where_no_shard_is(project, bare, clip_scaling, split):
    specs = run_specs(load_study("tiny"))
    here = packed(specs[0])
    ended = clip_scaling("travel", "pack", project / "tiny.pack", "--study", "tiny", *split)
    assert ended.code == 0 and "tiny.pack: " in ended.out and " MiB" in ended.out
    parts = sorted(path.name for path in project.glob("tiny.pack*"))
    assert parts == ["tiny.pack"] if not split else len(parts) > 2 and parts[0] == "tiny.pack.01"
    assert not split or all(path.stat().st_size <= 0.2 * 2**20 for path in project.glob("tiny.pack*"))
    there = bare("there")
    unpack(project / "tiny.pack", "tiny")
    assert len(list((there / "data" / "tiny" / "pool" / "evaluation").rglob("*.tar"))) == 4
    assert not list((there / "data" / "tiny" / "subsets").glob("*.tar"))
    _same(specs, here)


def test_files_of_another_state_are_replaced(project, bare, clip_scaling):
    specs = run_specs(load_study("tiny"))
    here = packed(specs[0])
    assert clip_scaling("travel", "pack", project / "tiny.pack", "--study", "tiny").code == 0
    there = bare("there")
    manifest = there / "data" / "tiny" / "subsets" / "large.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"samples": 1, "shards": []}))
    unpack(project / "tiny.pack", "tiny")
    assert json.loads(manifest.read_text())["samples"] == 288
    _same(specs, here)


def test_a_part_that_is_missing_is_told(project, bare, clip_scaling):
    assert clip_scaling("travel", "pack", project / "tiny.pack", "--study", "tiny", "--split", "0.2").code == 0
    sorted(project.glob("tiny.pack.*"))[1].unlink()
    bare("there")
    ended = clip_scaling("travel", "part", "--study", "tiny", "--pack", project / "tiny.pack", "--progress", "progress.tar")
    assert ended.code == 2 and "tiny.pack: cannot be unpacked" in ended.err and "carry all its parts" in ended.err


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8b" * 50])
@pytest.mark.parametrize("words", [["home"], ["part", "--progress", "progress.tar", "--pack"]])
def test_a_file_that_is_no_archive(project, clip_scaling, content, words):
    path = project / "broken"
    path.write_bytes(content)
    ended = clip_scaling("travel", *words, path, "--study", "tiny")
    assert ended.code == 2 and "broken: cannot be unpacked" in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize("name, said", [
    ("data/tiny/../../escaped", "leaves the folder"), ("/data/tiny/escaped", "leaves the folder"), ("packed/.", "unsafe name"),
    ("data/tiny//escaped", "unsafe name"), ("data/tiny/./escaped", "unsafe name"), ("data/other/a", "no study 'tiny'"),
    ("runs/nothing/escaped", "no study 'tiny'"), ("escaped", "no study 'tiny'"), ("images-9-grey", "tiny"), ("rows-9/a", "tiny"),
])
def test_an_archive_may_not_leave_its_places(project, clip_scaling, name, said):
    path = project / "evil"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    ended = clip_scaling("travel", "part", "--study", "tiny", "--pack", path, "--progress", "progress.tar")
    assert ended.code == 2 and said in ended.err and not list(project.parent.rglob("escaped"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_of_an_archive_with_a_hostile_member_nothing_is_unpacked(project, clip_scaling, kind):
    path = project / "evil"
    before = {path: path.read_bytes() for path in project.parent.rglob("*") if path.is_file()}
    for words, folder in ((["home"], "evaluations"), (["part", "--progress", "new.tar", "--pack"], "data/tiny/subsets")):
        write_hostile(path, kind, f"{folder}/new.json", {f"{folder}/old.json": b"[]"})
        ended = clip_scaling("travel", *words, path, "--study", "tiny")
        assert ended.code == 2 and SAID[kind] in ended.err and "evil: cannot be unpacked" in ended.err
        path.unlink()
        after = {path: path.read_bytes() for path in project.parent.rglob("*") if path.is_file()}
        assert after == before


@pytest.mark.parametrize("packed", [False, True])
def test_a_larger_file_than_allowed_is_not_unpacked(project, clip_scaling, monkeypatch, packed):
    monkeypatch.setattr(archive, "_LARGEST", 1 << 20)
    with archive.written(project / "large", compressed=packed) as tar:
        tar.add("evaluations/old.json", b"[]")
        tar.add("evaluations/large.json", bytes((1 << 20) + 1))
    ended = clip_scaling("travel", "home", project / "large", "--study", "tiny")
    assert ended.code == 2 and "'evaluations/large.json' has 1,048,577 bytes, allowed are 1,048,576" in ended.err
    assert not list(project.rglob("evaluations/*.json"))


def test_a_row_below_the_first_image_is_refused(project, clip_scaling):
    image = np.zeros(1, np.int64) + 1
    with archive.written(project / "evil", compressed=True) as tar:
        tar.add("images-2-grey", image.tobytes() + bytes(4))
        tar.add("images-2-coloured", np.zeros(1, np.int64).tobytes())
        tar.add("rows-2/a.npy", np.array([-1], "<i4").tobytes())
    ended = clip_scaling("travel", "part", "--study", "tiny", "--pack", project / "evil", "--progress", "progress.tar")
    assert ended.code == 2 and "a row below 0" in ended.err and not list(project.rglob("a.npy"))


def test_numbers_that_mean_nothing_are_refused(project, clip_scaling):
    ended = clip_scaling("travel", "pack", project / "a", "--study", "tiny", "--split", "0")
    assert ended.code == 2 and "--split 0 holds nothing; give more than 0 MiB" in ended.err
    part = ["travel", "part", "--study", "tiny", "--pack", "a", "--progress", "b"]
    assert "--limit -1 holds nothing" in clip_scaling(*part, "--limit", "-1").err
    assert "--minutes 0 trains nothing" in clip_scaling(*part, "--minutes", "0").err

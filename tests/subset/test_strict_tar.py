"""Archives from elsewhere: taken as a whole, or refused in a sentence, with nothing left of them."""

import gzip
import io
import json
import tarfile
import tracemalloc

import pytest
from hostile_tars import HOSTILE, SAID, write_hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.subset import at_scale_copy
from clip_scaling.subset.strict_tar import UnsafeTar, files

GOOD = {"a.jpg": b"picture", "a.txt": b"words", "b.jpg": b"another"}


def _tar(members, **options):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **options) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _manifest(folder):
    content = {"name": "s", "samples": 2, "selection": {"by": "shards"},
               "shards": [{"path": str(folder / "0.tar"), "sha256": None, "samples": 2}]}
    (folder / "s.json").write_text(json.dumps(content))
    return folder / "s.json"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_member_ends_the_copy_and_leaves_nothing(tmp_path, kind):
    work = tmp_path / "a" / "b" / "c"
    work.mkdir(parents=True)
    write_hostile(work / "0.tar", kind, "b.txt", GOOD)
    tracemalloc.start()
    with pytest.raises(UserError, match=rf"0\.tar: cannot be copied \(.*{SAID[kind]}.*\); fetch it again"):
        at_scale_copy.copy_drawn(_manifest(work), work / "copy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not list((work / "copy").iterdir()) and not list(tmp_path.rglob("*escaped*")) and peak < 20 << 20


def test_a_larger_file_than_allowed_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(at_scale_copy, "LARGEST_IMAGE", 6)
    (tmp_path / "0.tar").write_bytes(_tar(GOOD))
    with pytest.raises(UserError, match=r"'a\.jpg' has 7 bytes, allowed are 6"):
        at_scale_copy.copy_drawn(_manifest(tmp_path), tmp_path / "copy")
    assert not list((tmp_path / "copy").iterdir())


@pytest.mark.parametrize("content", [gzip.compress(_tar(GOOD)), b"", b"no tar", _tar(GOOD)[:700]])
def test_what_is_no_plain_tar_is_not_copied(tmp_path, content):
    (tmp_path / "0.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"0\.tar: cannot be copied \((header is no tar header|ends too early)\)"):
        at_scale_copy.copy_drawn(_manifest(tmp_path), tmp_path / "copy")


def test_a_good_shard_is_copied_byte_for_byte(tmp_path):
    (tmp_path / "0.tar").write_bytes(_tar(GOOD))
    at_scale_copy.copy_drawn(_manifest(tmp_path), tmp_path / "copy")
    with tarfile.open(tmp_path / "copy" / "000000.tar") as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == GOOD


class _Trickle(io.RawIOBase):
    """A download: it gives a few bytes at a time and cannot go back."""

    def __init__(self, content):
        self._left = io.BytesIO(content)

    def read(self, size=-1):
        return self._left.read(min(size, 300))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_stream_gives_what_tarfile_gives(format):
    members = {"a": b"", "folder/" + "b" * 90 + ".txt": b"x" * 1000, "ü.txt": bytes(3000)}
    assert dict(files(_Trickle(_tar(members, format=format)), largest=3000)) == members
    assert dict(files(_Trickle(_tar(members, format=format)), largest=0, wanted=lambda name: name == "a")) == {"a": b""}


def test_of_a_tar_that_is_cut_off_only_whole_files_are_given():
    members = {"a.jpg": b"a" * 1500, "b.jpg": b"b" * 1500}  # with headers 2,048 bytes each
    content = _tar(members)
    for cut in range(0, 2 * 2048 + 512, 97):
        found = {}
        with pytest.raises(UnsafeTar, match="ends too early"):
            for name, body in files(io.BytesIO(content[:cut]), largest=4096):
                found[name] = body
        assert found == {name: members[name] for name in found}


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 255)), max_size=4), st.integers(0, 10_240))
@settings(max_examples=300, deadline=None)
def test_no_damage_gives_anything_but_whole_files_or_a_refusal(edits, cut):
    content = bytearray(_tar(GOOD))
    for place, change in edits:
        content[place] ^= change
    try:
        found = dict(files(io.BytesIO(content[:cut]), largest=4096))
    except UnsafeTar:
        return
    assert all(len(name) <= 100 for name in found) and len(found) <= len(GOOD)

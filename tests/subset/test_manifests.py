"""A manifest of any other form than `subset` writes is refused in one sentence, wherever it is read."""

import json

import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.core.study import load_study
from clip_scaling.subset import manifests
from clip_scaling.subset.at_scale_copy import copy_drawn
from clip_scaling.subset.manifests import read_manifest, refuse_other_shard
from clip_scaling.train.spec import load_subset
from odd_files import make_odd

SHARD = {"path": "0.tar", "sha256": "0" * 64, "samples": 1}
GOOD = {"name": "s", "family": "f", "samples": 1, "shards": [SHARD], "tokenizer": "bpe.txt.gz", "selection": {"by": "keys"}}

TEXTS = {"empty": b"", "cut off": b'{"samples": 1, "shards": [', "deep": b"[" * 500_000, "no UTF-8": b'{"\xff": 1}',
         "deep shards": b'{"samples": 1, "shards": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"}
FORMS = {
    "list": [GOOD], "nothing": {}, "samples": GOOD | {"samples": "1"}, "negative": GOOD | {"samples": -1},
    "truth": GOOD | {"samples": True}, "shards": GOOD | {"shards": {"0": SHARD}}, "tokenizer": GOOD | {"tokenizer": 3},
    "selection": GOOD | {"selection": "keys"}, "keys": GOOD,
    **{f"shard {name}": GOOD | {"selection": None, "shards": [shard]} for name, shard in {
        "no object": "0.tar", "no path": {}, "path": SHARD | {"path": 0}, "empty path": SHARD | {"path": ""},
        "sha256": SHARD | {"sha256": "../../x"}, "sha256 number": SHARD | {"sha256": 7}, "samples": SHARD | {"samples": 0.5},
    }.items()},
}
HOSTILE = TEXTS | {name: json.dumps(form).encode() for name, form in FORMS.items()}


def _embedded(path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(path.parents[3]))
    load_subset("tiny", "s")


def _cluster(path, monkeypatch):
    from clip_scaling.train.cluster.collect import prepare
    from clip_scaling.train.cluster.plan import plans

    study = load_study("laion")
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(path.parents[3]))
    plan = plans(study)[0]
    path.with_name(f"{plan.subset}.json").write_bytes(path.read_bytes())
    prepare(study.model_copy(update={"study": "tiny"}), plan)


READERS = {"alone": lambda path, _: read_manifest(path), "embedded": _embedded, "cluster": _cluster,
           "copy": lambda path, _: copy_drawn(path, path.parent / "copy")}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_another_form_is_one_sentence(tmp_path, monkeypatch, content, reader):
    path = tmp_path / "data" / "tiny" / "subsets" / "s.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"\.json: is no manifest of a subset \(.+\); ") as told:
        reader(path, monkeypatch)
    assert "\n" not in told.value.sentence and not list(tmp_path.rglob("*.tar"))


def test_forms_that_are_written_are_read(tmp_path):
    for shard in (SHARD | {"keys": "s.keys/0.parquet"}, SHARD | {"sha256": None, "samples": None, "keys": "k"}):
        content = GOOD | {"shards": [shard]}
        (tmp_path / "s.json").write_text(json.dumps(content))
        assert read_manifest(tmp_path / "s.json") == content
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path / "none.json")


@pytest.mark.parametrize("content", [b"", b"other"])
def test_another_shard_is_told_with_what_differs(tmp_path, content):
    (tmp_path / "0.tar").write_bytes(content)
    held = "5 bytes" if content else "no byte"
    said = rf"0\.tar: is not the shard .*\(other sha256: {held}, [0-9a-f]{{16}}\.\.\. for 0{{16}}"
    with pytest.raises(UserError, match=said):
        refuse_other_shard(tmp_path / "0.tar", "0" * 64)


@pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "sparse"])
def test_a_shard_that_is_no_plain_file_is_refused_at_once(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(manifests, "sha256", lambda _: pytest.fail("read without end"))
    make_odd(tmp_path / "0.tar", kind)
    with pytest.raises(UserError, match=r"0\.tar: (cannot be read|is larger)"):
        refuse_other_shard(tmp_path / "0.tar", "0" * 64)


def test_a_shard_that_is_missing_is_told(tmp_path):
    with pytest.raises(UserError, match=r"0\.tar: cannot be read"):
        refuse_other_shard(tmp_path / "0.tar", "0" * 64)

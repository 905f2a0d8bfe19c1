"""Subsets: nested, the same whatever else is in the pool, as webdataset and img2dataset lay them out."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_scaling.core.study import SubsetEntry
from clip_scaling.subset.draw import plan
from clip_scaling.subset.reader import ShardReader

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

STUDY = """
study: tiny
title: tiny
prepare: {{source: {source}, image_size: 32, vocabulary: 20, seed: {seed}}}
subset:
  shard_samples: {shard_samples}
  subsets:
{subsets}
train:
  {{engine: embedded, batch_size: 4, precision: fp32, warmup_fraction: 0.1, weight_decay: 0.1, beta1: 0.9, beta2: 0.98,
   gradient_clip: 1.0, augment_shift: 0, architectures: [], runs: []}}
evaluate: {{zeroshot: [], retrieval: [], linear_probe: [], fine_tune: {{runs: [], iterations: 1, batch_size: 1}}}}
fit: {{forms: [power], bootstrap: 100, targets: []}}
"""


def entry(name: str, samples: int, family: str = "icons") -> SubsetEntry:
    return SubsetEntry(name=name, family=family, samples=samples)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project; returns a function that writes its study file."""
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))

    def write(subsets: list[str], *, source="icons", seed=0, shard_samples=10) -> Path:
        lines = "\n".join(f"    - {{{subset}}}" for subset in subsets)
        path = tmp_path / "tiny.yaml"
        path.write_text(STUDY.format(source=source, seed=seed, shard_samples=shard_samples, subsets=lines))
        return path

    return write


def png(number: int) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (number % 256, number // 256, 7)).save(buffer, "PNG")
    return buffer.getvalue()


def write_pool(root: Path, rows: int = 60) -> None:
    """A pool in which every third pair is pictorial."""
    keys = [f"set:icon-{number}" for number in range(rows)]
    table = pa.table({
        "key": keys, "caption": [f"icon {number}" for number in range(rows)], "png": [png(n) for n in range(rows)],
        "set": ["set"] * rows, "icon_family": ["one"] * rows, "license": ["MIT"] * rows,
        "family": ["pictorial" if number % 3 == 0 else "interface" for number in range(rows)],
    })
    pool = root / "data/tiny/pool"
    (pool / "tokenizer").mkdir(parents=True)
    pq.write_table(table, pool / "pool.parquet")
    (pool / "tokenizer/bpe.txt.gz").write_bytes(b"")


def contents(root: Path, name: str) -> list[str]:
    folder = root / "data/tiny/subsets"
    manifest = json.loads((folder / f"{name}.json").read_text())
    return [pair.key for pair in ShardReader([folder / shard["path"] for shard in manifest["shards"]])]


def test_subsets_nest_and_hold_what_they_say(tmp_path, project, clip_scaling):
    write_pool(tmp_path)
    study = project(["name: small, family: icons, samples: 8", "name: large, family: icons, samples: 45",
                     "name: other, family: pictorial, samples: 20"])
    assert clip_scaling("subset", "--study", study).code == 0
    small, large, other = (contents(tmp_path, name) for name in ("small", "large", "other"))
    assert (len(small), len(set(large)), len(other)) == (8, 45, 20)
    assert large[:8] == small
    assert all(int(key.split("-")[1]) % 3 == 0 for key in other)
    folder = tmp_path / "data/tiny/subsets"
    sizes = [shard["samples"] for shard in json.loads((folder / "large.json").read_text())["shards"]]
    assert sizes == [8, 2, 10, 10, 10, 5]
    assert sorted(path.name for path in folder.iterdir()) == ["icons", "large.json", "other.json", "pictorial", "small.json"]


def test_shards_and_metadata_agree_with_tarfile_and_hashes(tmp_path, project, clip_scaling):
    write_pool(tmp_path)
    assert clip_scaling("subset", "--study", project(["name: all, family: icons, samples: 60"])).code == 0
    folder = tmp_path / "data/tiny/subsets"
    for shard in json.loads((folder / "all.json").read_text())["shards"]:
        path = folder / shard["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == shard["sha256"]
        rows = pq.read_table(path.with_suffix(".parquet")).to_pylist()
        assert len(rows) == shard["samples"]
        with tarfile.open(path) as tar:
            for row in rows:
                image = tar.extractfile(f"{row['key']}.png").read()
                assert image == png(int(row["key"].split("-")[1]))
                assert hashlib.sha256(image).hexdigest() == row["sha256"]
                assert tar.extractfile(f"{row['key']}.txt").read().decode() == row["caption"]
                assert json.loads(tar.extractfile(f"{row['key']}.json").read())["license"] == row["license"]


def test_the_same_pool_gives_the_same_bytes_and_another_seed_another_order(tmp_path, project, clip_scaling):
    write_pool(tmp_path)
    found = []
    for seed in (0, 0, 1):
        study = project(["name: all, family: icons, samples: 60"], seed=seed)
        assert clip_scaling("subset", "--study", study).code == 0
        found.append((tmp_path / "data/tiny/subsets/all.json").read_bytes())
    assert found[0] == found[1] != found[2]


@given(st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=3, max_size=30), st.data())
def test_pairs_added_to_the_pool_move_no_other(keys, data):
    some = data.draw(st.lists(st.sampled_from(sorted(keys)), min_size=1, unique=True))

    def order(names):
        made, = plan([entry("a", len(names))], names, ["x"] * len(names), shard_samples=7, seed=3)
        return [names[row] for row in made.rows]

    whole = order(sorted(keys))
    assert [key for key in whole if key in some] == order(some)


@pytest.mark.parametrize(("subset", "said"), [
    ("name: all, family: icons, samples: 61", "icons holds 60"),
    ("name: all, family: pictorial, samples: 21", "pictorial holds 20"),
    ("name: all, family: photos, samples: 1", "unknown family 'photos'"),
])
def test_what_the_pool_cannot_give_is_refused_and_nothing_is_left(tmp_path, project, clip_scaling, subset, said):
    write_pool(tmp_path)
    done = clip_scaling("subset", "--study", project([subset]))
    assert done.code == 2
    assert said in done.err
    assert [path.name for path in (tmp_path / "data/tiny").iterdir()] == ["pool"]


def test_without_a_pool_one_sentence(tmp_path, project, clip_scaling):
    study = project(["name: all, family: icons, samples: 1"])
    done = clip_scaling("subset", "--study", study)
    assert done.code == 2
    assert f"run `clip-scaling prepare --study {study}` first" in done.err


def user_shards(root: Path, number: int) -> None:
    from clip_scaling.subset.tarfiles import TarWriter

    for shard in range(number):
        with open(root / f"{shard:05d}.tar", "wb") as file:
            tar = TarWriter(file)
            for place in range(5):
                tar.add(f"{shard}-{place}.png", png(place) if place != 2 else b"")
                tar.add(f"{shard}-{place}.txt", f"a dog number {place}".encode())
            tar.close()


def test_a_users_shards_are_listed_not_copied_and_refusals_counted(tmp_path, project, clip_scaling):
    user_shards(tmp_path, 4)
    study = project(["name: small, family: own, samples: 5, shards: '{00000..00003}.tar'",
                     "name: all, family: own, samples: 16, shards: '0*.tar'"], source="shards")
    assert clip_scaling("prepare", "--study", study).code == 0
    assert clip_scaling("subset", "--study", study).code == 0
    folder = tmp_path / "data/tiny/subsets"
    assert sorted(path.name for path in folder.iterdir()) == ["all.json", "small.json"]
    small = json.loads((folder / "small.json").read_text())
    assert [shard["samples"] for shard in small["shards"]] == [4, 4]
    assert small["read"][0]["refused"] == {"image of 0 bytes": 1}
    assert len(contents(tmp_path, "all")) == 16
    assert (folder / small["tokenizer"]).is_file()


@pytest.mark.parametrize(("pattern", "samples", "said"), [
    ("'{00000..00003}.tar'", 17, "its shards hold 16"),
    ("'{00000..00004}.tar'", 5, "no such shard"),
    ("'{0..9999999999}.tar'", 5, "more than 1,000,000 shards"),
    ("null", 5, "names no shards"),
])
def test_a_users_mistake_is_one_sentence(tmp_path, project, clip_scaling, pattern, samples, said):
    user_shards(tmp_path, 4)
    study = project([f"name: all, family: own, samples: {samples}, shards: {pattern}"], source="shards")
    (tmp_path / "data/tiny/pool/tokenizer").mkdir(parents=True)
    (tmp_path / "data/tiny/pool/tokenizer/bpe.txt.gz").write_bytes(b"")
    done = clip_scaling("subset", "--study", study)
    assert done.code == 2
    assert said in done.err

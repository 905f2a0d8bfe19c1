"""The stage on the fixture: everything is there, equal each time, and faults are sentences."""

import gzip
import json
import shutil
import struct
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.prepare import fetch, probes, render
from clip_scaling.prepare.duplicates import nearest
from clip_scaling.prepare.icons import Icon, LeftOut
from clip_scaling.prepare.vocabulary import write_merges
from odd_files import make_odd


@pytest.fixture(scope="module")
def project(tmp_path_factory, root):
    """A copy of what the stage reads, in which it ran once."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(root / "data/fixture", folder / "data/fixture")
    shutil.copytree(root / "studies", folder / "studies")
    return folder


@pytest.fixture
def pool(project, clip_scaling, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(project))
    if not (project / "data/smoke/pool").is_dir():
        assert clip_scaling("prepare", "--study", "smoke", "--workers", 1).code == 0
    return project / "data/smoke/pool"


def test_pool_and_evaluation_sets(pool):
    import pyarrow.parquet as pq

    about = json.loads((pool / "manifest.json").read_text())
    table = pq.read_table(pool / "pool.parquet").to_pydict()
    assert len(table["key"]) == len(set(table["key"])) == about["pool"]["pairs"] > 130
    assert set(table["family"]) == {"interface", "pictorial"} and all(table["caption"])
    held = {name for name, place in about["held_out"]["place_of_set"].items() if place != "pool"}
    assert held and not held & set(table["set"]), "no held-out family in the pool"
    for one in about["evaluation"]:
        folder = pool / ("tuning" if one["tuning"] else "evaluation") / one["name"]
        for split, count in one["images"].items():
            if count:
                with tarfile.open(folder / split / "0.tar") as archive:
                    assert sum(name.endswith(".png") for name in archive.getnames()) == count
        if one["classes"]:
            assert len((folder / "classnames.txt").read_text().split("\n")) == one["classes"] + 1
    assert "MIT" in (pool / "ATTRIBUTION.md").read_text()


def test_worker_count_changes_nothing(pool, project, clip_scaling):
    before = json.loads((pool / "manifest.json").read_text())
    assert clip_scaling("prepare", "--study", "smoke", "--workers", 2).code == 0
    assert json.loads((pool / "manifest.json").read_text()) == before


def test_missing_fixture_is_a_sentence_and_leaves_the_pool(pool, project, clip_scaling):
    (project / "data/fixture/sets").rename(project / "sets")
    done = clip_scaling("prepare", "--study", "smoke")
    (project / "sets").rename(project / "data/fixture/sets")
    assert done.code == 2 and "holds no icon sets" in done.err and (pool / "manifest.json").is_file()


def test_renders_are_square_dark_on_white():
    from io import BytesIO

    from PIL import Image

    wide = Icon("s", "n", '<path fill="currentColor" d="M0 0h48v24H0z"/>', (0, 0, 48, 24), "")
    made = render.render(wide, 32)
    pixels = np.asarray(Image.open(BytesIO(made.png)))
    assert pixels.shape == (32, 32, 3) and pixels[16, 16].max() < 40 and pixels[2, 16].min() == 255
    blank = Icon("s", "n", "<g/>", (0, 0, 24, 24), "")
    assert render.render(blank, 32).left_out is LeftOut.BLANK
    assert render.render(Icon("s", "n", "<g><", (0, 0, 24, 24), ""), 32).left_out is LeftOut.RENDER_FAILED


def test_a_renderer_that_is_killed_again_and_again_is_a_sentence(monkeypatch):
    import os

    monkeypatch.setattr(render, "render", lambda icon, size: os._exit(9))
    icon = Icon("set", "name", '<path d="M0 0h9v9z"/>', (0.0, 0.0, 24.0, 24.0), "")
    with pytest.raises(UserError, match="33 rendering processes were killed.*free memory"):
        list(render.render_all([icon] * 40, 32, workers=1))


@pytest.mark.parametrize(("where", "kind", "said"), [
    ("test/1.tar", "fifo", "no file"), ("test/1.tar", "zero", "no file"), ("test/1.tar", "sparse", "larger than 64 GiB"),
    ("loop", "..", "loop: is a link to a folder"), ("test/more", ".", "more: is a link to a folder"),
])
def test_an_evaluation_set_of_pipes_devices_or_links_in_a_circle_is_refused_at_once(tmp_path, where, kind, said):
    """It is linked or copied to the pool: of a device or a circle there would be no end."""
    from clip_scaling.prepare.shards import _link_sets

    study = SimpleNamespace(evaluate=SimpleNamespace(zeroshot=["mine"], retrieval=[], linear_probe=[]), prepare=SimpleNamespace(evaluation=str(tmp_path)))
    (tmp_path / "mine/test").mkdir(parents=True)
    (tmp_path / "mine/test/0.tar").write_bytes(b"tar")
    (tmp_path / "blob").write_bytes(b"tar")  # as in a hub's cache
    (tmp_path / "mine/test/linked.tar").symlink_to("../../blob")
    assert _link_sets(study, tmp_path / "fine") == ["mine"] and (tmp_path / "fine/mine/test/linked.tar").read_bytes() == b"tar"
    path = tmp_path / "mine" / where
    path.symlink_to(kind) if kind in (".", "..") else make_odd(path, kind)
    with pytest.raises(UserError, match=said):
        _link_sets(study, tmp_path / "pool")


def test_nearest_agrees_with_the_definition():
    generator = np.random.default_rng(0)
    queries, references = (generator.integers(0, 255, (n, 16), dtype=np.uint8) for n in (5, 40))
    wanted = [max(q @ r / np.linalg.norm(q) / np.linalg.norm(r) for r in references.astype(float)) for q in queries.astype(float)]
    np.testing.assert_allclose(nearest(queries, references), wanted, rtol=1e-5)
    assert nearest(queries, references[:0]).tolist() == [-1] * 5


def test_merges_are_read_by_open_clip(tmp_path):
    from clip_scaling.train.openclip import open_clip

    captions = ["home icon", "user circle", "calendar check 24"] * 20
    assert write_merges(captions, 20, tmp_path / "bpe.txt.gz") == 20
    write_merges(captions, 20, tmp_path / "again.txt.gz")
    assert (tmp_path / "bpe.txt.gz").read_bytes() == (tmp_path / "again.txt.gz").read_bytes()
    tokenizer = open_clip.SimpleTokenizer(bpe_path=str(tmp_path / "bpe.txt.gz"), context_length=16)
    assert tokenizer.vocab_size == 512 + 20 + 2
    for text in ("home user", "zebra 7"):
        assert tokenizer.decode(tokenizer.encode(text)).strip() == text


def test_wrong_hash_is_removed_and_said(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path))
    archive = tmp_path / "downloads" / fetch.EMOJIBASE.file_name
    archive.parent.mkdir()
    archive.write_bytes(b"not the package")
    with pytest.raises(UserError, match="another SHA-512"):
        fetch.fetch(fetch.EMOJIBASE)
    assert not archive.exists()


def test_no_network_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch, "npm", lambda: ["false"])
    with pytest.raises(UserError, match="could not be fetched.*check the network"):
        fetch.fetch(fetch.EMOJIBASE)
    assert not list((tmp_path / "downloads").iterdir())


def test_fashion_mnist_from_a_folder(tmp_path, monkeypatch):
    for prefix, count in (("train", 30), ("t10k", 10)):
        images = struct.pack(">IIII", 2051, count, 28, 28) + bytes(count * 28 * 28)
        labels = struct.pack(">II", 2049, count) + bytes(count)
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    monkeypatch.setenv("FASHION_MNIST", str(tmp_path))
    splits = probes.fashion_mnist(32, 0)
    assert len(splits["train"]) == 30 and len(splits["test"]) == 10 and splits["test"][0].label == 0
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"broken")
    with pytest.raises(UserError, match="no IDX file"):
        probes.fashion_mnist(32, 0)

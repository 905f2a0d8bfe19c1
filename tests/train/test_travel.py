import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clip_scaling.cli import main
from clip_scaling.core.study import load_study
from clip_scaling.train.packed import packed
from clip_scaling.train.spec import run_specs
from clip_scaling.train.travel import spread, squeezed


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(8), st.just(8), st.just(3))))
@settings(max_examples=20, deadline=None)
def test_images_survive(images):
    assert np.array_equal(spread(squeezed(images)), images)


def test_monochrome_images_become_small():
    images = np.repeat(np.random.default_rng(0).integers(0, 256, (50, 32, 32, 1), dtype=np.uint8), 3, axis=3)
    assert len(squeezed(images)) < images.size * 0.36


def test_a_packed_study_trains_where_no_shard_is(project, specs, monkeypatch, tmp_path_factory, capsys):
    here = packed(specs[0])
    evaluation = project / "data" / "tiny" / "pool" / "evaluation" / "icons"
    evaluation.mkdir(parents=True)
    (evaluation / "classnames.txt").write_text("home\n")
    assert main(["train", "--study", "tiny", "--pack", str(project / "tiny.pack")]) == 0
    there = tmp_path_factory.mktemp("there")
    (there / "dvc.yaml").touch()
    shutil.copytree(project / "studies", there / "studies")
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(there))
    assert main(["train", "--study", "tiny", "--unpack", str(project / "tiny.pack"), "--dry-run"]) == 0
    found = run_specs(load_study("tiny"))
    assert [spec.digest for spec in found] == [spec.digest for spec in specs]
    assert not list(there.rglob("*.tar"))
    data = packed(found[0])
    for one, other in zip(here.images + here.tokens, data.images + data.tokens, strict=True):
        assert np.array_equal(one, other)
    assert (there / "data" / "tiny" / "pool" / "evaluation" / "icons" / "classnames.txt").read_text() == "home\n"
    assert json.loads((there / "data" / "tiny" / "subsets" / "large.json").read_text())["samples"] == 288


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8b" * 50])
def test_a_file_that_is_no_pack(project, capsys, content):
    path = project / "broken.pack"
    path.write_bytes(content)
    assert main(["train", "--study", "tiny", "--unpack", str(path), "--dry-run"]) == 2
    assert "broken.pack" in capsys.readouterr().err


def test_a_pack_may_not_leave_its_places(project, capsys):
    import io
    import tarfile

    path = project / "evil.pack"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("data/tiny/../../escaped")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    assert main(["train", "--study", "tiny", "--unpack", str(path), "--dry-run"]) == 2
    assert "unsafe name" in capsys.readouterr().err and not (project / "escaped").exists()

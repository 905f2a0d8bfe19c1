"""Evaluation folders: packed once by content, equal to open_clip's transform, and every fault named with its place."""

import io
import json
import pickle
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

from clip_scaling.core import paths  # noqa: E402
from clip_scaling.core.errors import UserError  # noqa: E402
from clip_scaling.evaluate import folder as subject  # noqa: E402
from clip_scaling.evaluate.folder import Geometry, Kind, open_folder, read_split  # noqa: E402
from odd_files import make_odd  # noqa: E402

GEOMETRY = Geometry((32, 32))


def encoded(image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_reads_labels_in_the_order_of_the_tars(classification):
    items = read_split(open_folder(classification), "test", GEOMETRY)
    expected = []
    for shard in (0, 1):
        with tarfile.open(classification / "test" / f"{shard}.tar") as tar:
            expected += [int(tar.extractfile(name).read()) for name in tar.getnames() if name.endswith(".cls")]
    assert items.labels.tolist() == expected
    assert items.images.shape == (90, 32, 32, 3) and items.images.dtype == np.uint8


def test_decoded_once_for_equal_content(classification, tmp_path, monkeypatch):
    first = read_split(open_folder(classification), "test", GEOMETRY)
    monkeypatch.setattr(subject, "read_image", lambda *_: pytest.fail("decoded again"))
    again = read_split(open_folder(classification), "test", GEOMETRY)
    assert again.content == first.content and (again.images == first.images).all()


def test_other_content_or_geometry_is_packed_apart(classification, tmp_path, make):
    folder = open_folder(classification)
    contents = {read_split(folder, "test", Geometry((size, size))).content for size in (16, 32)}
    other = make.classification_folder(tmp_path / "other", seed=5)
    contents.add(read_split(open_folder(other), "test", GEOMETRY).content)
    assert len(contents) == len(list((paths.cache() / "packed").glob("*.npy"))) == 3


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_any_format_and_mode_equals_open_clips_transform(tmp_path, make, form, mode):
    if form == "JPEG" and mode in ("RGBA", "P"):
        pytest.skip("no such JPEG")
    import torch

    from clip_scaling.train.openclip import open_clip

    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 255, (50, 41, 3), dtype=np.uint8)).convert(mode)
    content = encoded(image, form)
    (tmp_path / "classnames.txt").write_text("only\n")
    make.write_split(tmp_path, "test", [{form.lower(): content, "cls": b"0"}])
    found = read_split(open_folder(tmp_path), "test", GEOMETRY).images[0]
    plain = (0, 0, 0), (1, 1, 1)
    transform = open_clip.image_transform(32, is_train=False, mean=plain[0], std=plain[1])
    expected = transform(Image.open(io.BytesIO(content)).convert("RGB"))
    assert torch.equal(torch.tensor(found).permute(2, 0, 1).float() / 255, expected)


def test_multilabel_rows(tmp_path, make):
    (tmp_path / "classnames.txt").write_text("a\nb\nc\n")
    (tmp_path / "dataset_type.txt").write_text("multilabel\n")
    rows = [[0, 1, 1], [0, 0, 0]]
    samples = []
    for row in rows:
        buffer = io.BytesIO()
        np.save(buffer, np.array(row))
        samples.append({"png": make.png(np.zeros((32, 32, 3), np.uint8)), "npy": buffer.getvalue()})
    make.write_split(tmp_path, "test", samples)
    folder = open_folder(tmp_path)
    assert folder.kind is Kind.MULTILABEL
    assert read_split(folder, "test", GEOMETRY).labels.tolist() == rows


def whole(make) -> dict[str, bytes]:
    return {"png": make.png(np.zeros((32, 32, 3), np.uint8)), "cls": b"1"}


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({"cls": b"1"}, "has no image"),
        ({"png": b"whole"}, "has no cls"),
        ({"png": b"no image", "cls": b"1"}, "is no usable image"),
        ({"png": b"whole", "cls": b"2"}, "class of sample s00001 is '2'"),
        ({"png": b"whole", "cls": b"-1"}, "class of sample s00001 is '-1'"),
        ({"png": b"whole", "cls": b"\xff"}, "class of sample"),
    ],
)
def test_broken_sample_is_named(tmp_path, make, sample, said):
    good = whole(make)
    sample = {name: good["png"] if content == b"whole" else content for name, content in sample.items()}
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    make.write_split(tmp_path, "test", [good, sample])
    with pytest.raises(UserError, match=said) as caught:
        read_split(open_folder(tmp_path), "test", GEOMETRY)
    assert "0.tar" in caught.value.sentence and "\n" not in caught.value.sentence
    assert not list((paths.cache() / "packed").glob("*.npy")), "nothing half-packed"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("dataset_type.txt", "video\n", "unknown type 'video'"),
        ("classnames.txt", "", "is empty"),
        ("classnames.txt", "a\n\nb\n", "has an empty line"),
        ("zeroshot_classification_templates.txt", "a photo\n", "no place for the class"),
        ("classnames.txt", b"\xff\xfe", "is no UTF-8"),
    ],
)
def test_broken_text_file_is_named(tmp_path, file, content, said):
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=said):
        open_folder(tmp_path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10_239), flip=st.integers(0, 10_239), byte=st.integers(0, 255))
def test_damaged_tar_is_read_or_refused(tmp_path, make, cut, flip, byte):
    """Whatever a cut or a changed byte does, it ends in items or in one sentence."""
    folder = tmp_path / f"{cut}-{flip}-{byte}"
    folder.mkdir(exist_ok=True)
    (folder / "classnames.txt").write_text("a\nb\n")
    make.write_split(folder, "test", [whole(make), whole(make)])
    content = bytearray((folder / "test/0.tar").read_bytes())
    content[flip] = byte
    (folder / "test/0.tar").write_bytes(content[: len(content) - cut])
    try:
        items = read_split(open_folder(folder), "test", GEOMETRY)
    except UserError as error:
        assert "\n" not in error.sentence
    else:
        assert 1 <= len(items) <= 2


def tar_of(folder, parts) -> None:
    """test/0.tar of (name or TarInfo, content), with two classes."""
    (folder / "classnames.txt").write_text("a\nb\n")
    (folder / "test").mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "test/0.tar", "w") as tar:
        for name, content in parts:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if member.isreg():
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def linked(name: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member


MEMBERS = [
    [(linked("s1.png", kind), b"")] for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
] + [[(name, b"PNG")] for name in ("/etc/x.png", "../x.png", "a/../../x.png", "a\nb.png", "a\x1b[31m.png", "C:\\x.png")] + [
    [("s0.png", b"PNG"), ("s0.cls", b"1")], [("s1.png", b"PNG"), ("s1.cls", b"1"), ("s0.png", b"PNG"), ("s0.cls", b"1")],
    [("s1.png", b"PNG"), ("s1.jpg", b"PNG"), ("s1.cls", b"1")], [("s1.png", b"PNG"), ("s1.cls", b"1"), ("s1.cls", b"0")],
    [("s1.png", b"PNG"), ("s1.cls", "²".encode())], [("s1.png", b"PNG"), ("s1.cls", b"")], [("s1.png", b"WIDE"), ("s1.cls", b"1")],
    [("s1.png", b"TALL"), ("s1.cls", b"1")], [("s1.png", b""), ("s1.cls", b"1")],
]


@pytest.mark.parametrize("parts", MEMBERS)
def test_a_member_that_is_no_sample_is_named(tmp_path, make, parts):
    images = {b"PNG": np.zeros((32, 32, 3), np.uint8), b"WIDE": np.zeros((2, 100_000, 3), np.uint8), b"TALL": np.zeros((100_000, 2, 3), np.uint8)}
    content = {word: make.png(pixels) for word, pixels in images.items()}
    tar_of(tmp_path, [(name, content.get(word, word)) for name, word in [("s0.png", b"PNG"), ("s0.cls", b"1"), *parts]])
    with pytest.raises(UserError) as caught:
        read_split(open_folder(tmp_path), "test", GEOMETRY)
    assert "0.tar" in caught.value.sentence and caught.value.sentence.isprintable()
    assert not list((paths.cache() / "packed").glob("*.npy")), "nothing half-packed"


@pytest.mark.parametrize("text", [b"", b"\n", b"a\n\nb", b"  ", b"a\n \n", b"\xff\xfe", b"\n\na"])
def test_a_blank_caption_is_named(tmp_path, make, text):
    tar_of(tmp_path, [("s0.png", make.png(np.zeros((32, 32, 3), np.uint8))), ("s0.txt", text)])
    (tmp_path / "dataset_type.txt").write_text("retrieval\n")
    with pytest.raises(UserError, match="caption"):
        read_split(open_folder(tmp_path), "test", GEOMETRY)


def saved(array, save=np.save) -> bytes:
    buffer = io.BytesIO()
    save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [
    saved(np.zeros(2, dtype=[("a", "i4"), ("b", "f8")])), saved(np.array(["0", "1"])), saved(np.array([0, 1], dtype="datetime64[s]")), saved(np.zeros(3)),
    saved(np.array([0, np.nan])), saved(np.array([0, 2])), saved(np.array([0, 1j])), saved(np.zeros((2, 2))), saved(np.array(1)), b"", b"\x93NUMPY",
    b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': 1}".ljust(16), b"\x93NUMPY\x01\x00\x40\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,)}".ljust(64),
    saved(np.array([0, 1], dtype=object).astype(str)), saved(np.array([0, 1]), np.savez), saved(np.array([0, 1]), np.savez_compressed),
    pickle.dumps([0, 1]), b"PK\x03\x04",
])
def test_labels_that_are_none_are_named(tmp_path, make, content):
    tar_of(tmp_path, [("s0.png", make.png(np.zeros((32, 32, 3), np.uint8))), ("s0.npy", content)])
    (tmp_path / "dataset_type.txt").write_text("multilabel\n")
    with pytest.raises(UserError, match="0/1 row of 2"):
        read_split(open_folder(tmp_path), "test", GEOMETRY)


@pytest.mark.parametrize("names", ["a\x1b[31m\nb\n", "a\x07\nb\n", "a\0\nb\n", "a\u202e\nb\n", "x" * 2000 + "\nb\n", "a\n\n\nb\n"])
def test_a_name_with_control_characters_is_refused(tmp_path, names):
    (tmp_path / "classnames.txt").write_text(names)
    with pytest.raises(UserError, match="classnames.txt") as caught:
        open_folder(tmp_path)
    assert caught.value.sentence.isprintable()


def test_a_name_may_stand_twice_as_two_of_imagenet_do(tmp_path):
    (tmp_path / "classnames.txt").write_text("missile\nsunglasses\nmissile\nsunglasses\n")
    assert len(open_folder(tmp_path).classnames) == 4


@pytest.mark.parametrize("text", ["²", "-1", "1e3", "99999999", "", "x", "1.5", "٣"])
def test_a_number_of_shards_that_is_none_does_no_harm(tmp_path, make, text):
    """It is then the tars there are that count."""
    tar_of(tmp_path, [("s0.png", make.png(np.zeros((32, 32, 3), np.uint8))), ("s0.cls", b"1")])
    (tmp_path / "test/nshards.txt").write_text(text)
    try:
        assert len(read_split(open_folder(tmp_path), "test", GEOMETRY)) == 1
    except UserError as error:
        assert text == "" and "nshards.txt" in error.sentence


@pytest.mark.parametrize("kind", ["fifo", "zero", "sparse"])
def test_a_tar_that_is_no_plain_file_is_refused_at_once(tmp_path, kind):
    (tmp_path / "classnames.txt").write_text("a\n")
    (tmp_path / "test").mkdir()
    path = tmp_path / "test/0.tar"
    make_odd(path, kind)
    with pytest.raises(UserError, match="0.tar"):
        read_split(open_folder(tmp_path), "test", GEOMETRY)


@pytest.mark.parametrize(("said", "tars", "named"), [
    ("1", ["0", "1"], r"1\.tar: stands beside the 1 tars"), ("1", ["0", "more"], r"more\.tar: stands beside"), ("0", ["0"], r"0\.tar: stands beside"),
    ("2", ["0"], r"1\.tar: is missing"), ("0", [], r"0\.tar: is missing"), ("1", ["0", ".x"], None), ("2", ["0", "1"], None),
])
def test_tars_that_nshards_leaves_out_are_named(tmp_path, make, said, tars, named):
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    (tmp_path / "test").mkdir()
    for name in tars:
        make.write_tar(tmp_path / "test" / f"{name}.tar", [whole(make)])
    (tmp_path / "test/nshards.txt").write_text(said)
    if named is None:
        assert len(read_split(open_folder(tmp_path), "test", GEOMETRY)) == int(said)
        return
    with pytest.raises(UserError, match=named):
        read_split(open_folder(tmp_path), "test", GEOMETRY)


@pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "link"])
@pytest.mark.parametrize("name", ["dataset_type.txt", "zeroshot_classification_templates.txt", "classnames.txt", "test/nshards.txt"])
def test_a_text_file_that_is_no_file_is_not_taken_for_absent(tmp_path, make, name, kind):
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    make.write_split(tmp_path, "test", [whole(make)])
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).symlink_to("nowhere") if kind == "link" else make_odd(tmp_path / name, kind)
    with pytest.raises(UserError, match=f"{name}: is no file"):
        read_split(open_folder(tmp_path), "test", GEOMETRY)


@pytest.mark.parametrize("name", ["classnames.txt", "zeroshot_classification_templates.txt"])
def test_a_list_of_names_is_not_cut(tmp_path, monkeypatch, name):
    monkeypatch.setattr(subject, "_LARGEST_TEXT", 100)
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    (tmp_path / name).write_text("{c}\n" * 25)
    assert open_folder(tmp_path)
    (tmp_path / name).write_text("{c}\n" * 25 + "{c}")
    with pytest.raises(UserError, match=f"{name}: has more than 100 characters"):
        open_folder(tmp_path)


def a_pack(shape, dtype=np.uint8, order="C") -> bytes:
    return saved(np.zeros(shape, dtype, order))


@pytest.mark.parametrize(("suffix", "content"), [
    *[("json", content) for content in (
        b"", b"{", b"[]", b"{}", b"null", b"\xff", b"[" * 50_000, b'{"fields": [1]}', b'{"fields": 7, "counts": {}}', b'{"fields": [], "counts": {}}',
        b'{"fields": [0], "counts": {}}', b'{"fields": [0, "1"], "counts": {}}', b'{"fields": [0, 2], "counts": {}}', b'{"fields": [[0], [1]], "counts": {}}',
        b'{"fields": [0, 1e400], "counts": {}}', b'{"fields": [0, 1], "counts": []}', b'{"fields": [0, 1], "counts": {"x": "y"}}')],
    *[("npy", content) for content in (
        b"", b"\x93NUMPY", b"PK\x03\x04", a_pack((2, 32, 32, 3))[:-1], a_pack((1, 32, 32, 3)), a_pack((2, 16, 32, 3)), a_pack((2, 32, 32, 3), np.int8),
        a_pack((2, 32, 32, 3), order="F"), a_pack(()), saved(np.zeros((2, 32, 32, 3), np.uint8), np.savez), b"\x80\x02.", None)],
], ids=range(29))
def test_a_broken_pack_is_packed_anew(tmp_path, make, suffix, content):
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    make.write_split(tmp_path, "test", [whole(make), whole(make) | {"cls": b"0"}])
    first = read_split(open_folder(tmp_path), "test", GEOMETRY)
    images, labels = np.array(first.images), first.labels
    path = paths.cache() / "packed" / f"{first.content}.{suffix}"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    again = read_split(open_folder(tmp_path), "test", GEOMETRY)
    assert again.content == first.content and np.array_equal(again.labels, labels) and np.array_equal(again.images, images)


@pytest.mark.parametrize("kind", ["retrieval", "multilabel"])
@pytest.mark.parametrize("fields", [[0], ["a"], [[]], [[2, 0]], [["a", 1]], [None]])
def test_broken_labels_of_a_pack_are_packed_anew(tmp_path, make, kind, fields):
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    (tmp_path / "dataset_type.txt").write_text(kind)
    make.write_split(tmp_path, "test", [whole(make) | {"txt": b"a star", "npy": saved(np.array([0, 1]))}])
    first = read_split(open_folder(tmp_path), "test", GEOMETRY)
    (paths.cache() / "packed" / f"{first.content}.json").write_text(json.dumps({"fields": fields, "counts": {}}))
    again = read_split(open_folder(tmp_path), "test", GEOMETRY)
    assert again.captions == first.captions and np.array_equal(again.labels, first.labels)

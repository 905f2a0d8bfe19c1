"""Evaluation sets against what strangers may put into them: read and counted, or refused by name; the same as in shards."""

import io
import os
import tarfile
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

from clip_scaling.core import paths  # noqa: E402
from clip_scaling.core.errors import UserError  # noqa: E402
from clip_scaling.evaluate.folder import Geometry, open_folder, read_split  # noqa: E402
from clip_scaling.subset.samples import Conversion, Refusal  # noqa: E402
from odd_files import make_odd  # noqa: E402
from odd_images import CONVERTED, CORRUPT_EXIF, bomb, encoded, picture  # noqa: E402

GEOMETRY = Geometry((16, 16))
GOOD = encoded(picture())
BEFORE, AFTER = ([(f"{key}.png", GOOD), (f"{key}.cls", b"1")] for key in ("a", "z"))


def tar_of(path, parts, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, content in parts:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def read(folder, parts, kind="classification", **options):
    """The split `test` of a set with two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classnames.txt").write_text("a\nb\n")
    (folder / "dataset_type.txt").write_text(f"{kind}\n")
    tar_of(folder / "test/0.tar", parts, **options)
    return read_split(open_folder(folder), "test", GEOMETRY)


def refused(folder, parts, said: str, **options) -> str:
    """The sentence that ends the reading; nothing half-packed is left, and it comes soon."""
    begun = time.monotonic()
    with pytest.raises(UserError, match=said) as caught:
        read(folder, parts, **options)
    assert caught.value.sentence.isprintable() and "0.tar" in caught.value.sentence and len(caught.value.sentence) < 1_500
    assert not list((paths.cache() / "packed").glob("*.npy"))
    assert time.monotonic() - begun < 5
    return caught.value.sentence


@pytest.mark.parametrize(("image", "conversion"), CONVERTED)
def test_other_kinds_of_image_become_rgb_and_are_counted_and_said(tmp_path, image, conversion, capsys):
    expected = Conversion.ALPHA_DROPPED if conversion is Conversion.ALPHA else conversion
    items = read(tmp_path, [*BEFORE, ("x.png", image), ("x.cls", b"0"), *AFTER])
    assert len(items) == 3 and items.images[1].shape == (16, 16, 3)
    assert items.counts[expected] == 1 and sum(items.counts.values()) == 1
    assert f"{tmp_path.name}, test: {expected} (1)" in capsys.readouterr().err


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    items = read(tmp_path, [("x.png", encoded(Image.fromarray(grey))), ("x.cls", b"0")])
    np.testing.assert_array_equal(items.images[0], np.repeat((grey >> 8)[:, :, None], 3, axis=2))


def test_an_animation_gives_its_first_frame_and_transparency_is_dropped_as_open_clip_does(tmp_path):
    clear = np.dstack([np.asarray(picture()), np.zeros((16, 16), np.uint8)])
    moving = encoded(picture(), save_all=True, append_images=[picture(1)])
    items = read(tmp_path, [("x.png", moving), ("x.cls", b"0"), ("y.png", encoded(Image.fromarray(clear))), ("y.cls", b"0")])
    for image in items.images:
        np.testing.assert_array_equal(image, np.asarray(picture()))


def test_corrupt_exif_does_no_harm(tmp_path):
    items = read(tmp_path, [("x.jpg", CORRUPT_EXIF), ("x.cls", b"0")])
    assert len(items) == 1 and not items.counts


@pytest.mark.parametrize(("image", "reason"), [
    (b"", Refusal.IMAGE_EMPTY), (encoded(picture(size=1)), Refusal.IMAGE_TINY), (encoded(picture(size=3)), Refusal.IMAGE_TINY),
    (bomb(50_000), Refusal.IMAGE_LARGE), (bomb(10_000), Refusal.IMAGE_LARGE), (bomb(8_001), Refusal.IMAGE_LARGE),
    (b"GIF89a" + bytes(40), Refusal.IMAGE_BROKEN), (GOOD[:-40], Refusal.IMAGE_BROKEN), (GOOD[:60] + bytes(20) + GOOD[80:], Refusal.IMAGE_BROKEN),
    (b"<svg><image href='file:///etc/passwd'/></svg>", Refusal.IMAGE_BROKEN), (b"cos\nsystem\n(S'false'\ntR.", Refusal.IMAGE_BROKEN),
])
def test_an_image_that_is_none_ends_the_reading_with_the_reason(tmp_path, image, reason):
    said = refused(tmp_path, [*BEFORE, ("x.png", image), ("x.cls", b"0")], str(reason))
    assert "sample x is no usable image" in said


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    content = encoded(picture(), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda"):-2]
    refused(tmp_path, [("x.jpg", content[:-2] + last * 200 + content[-2:]), ("x.cls", b"0")], str(Refusal.IMAGE_SLOW))


@pytest.mark.parametrize("name", ["x.pyd", "x.pickle", "x.pkl", "x.pt", "x.exe", "x", ".png", "x.png.exe", "a.pickle"])
def test_foreign_members_are_passed_over_counted_and_not_opened(tmp_path, name):
    trap = b"cos\nsystem\n(S'touch " + str(tmp_path / "executed").encode() + b"'\ntR."
    items = read(tmp_path / "set", [BEFORE[0], (name, trap), BEFORE[1], *AFTER])
    assert items.labels.tolist() == [1, 1] and items.counts == {Refusal.MEMBER_FOREIGN: 1}
    assert not (tmp_path / "executed").exists()


def test_labels_that_are_a_pickle_are_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap(), Trap()], dtype=object), allow_pickle=True)
    refused(tmp_path / "set", [("x.png", GOOD), ("x.npy", buffer.getvalue())], "0/1 row of 2", kind="multilabel")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(("name", "reason"), [
    *[(name, Refusal.MEMBER_UNSAFE_NAME) for name in ("/etc/x.png", "../x.png", "a/../../x.png", "C:\\x.png", "a\nb.png", "\x1b[2J.png", "a\x7f.png")],
    ("caf\udce9.png", Refusal.MEMBER_NAME_ENCODING), ("\udcff\udcfe.cls", Refusal.MEMBER_NAME_ENCODING),
])
def test_a_name_that_may_do_harm_ends_the_reading(tmp_path, name, reason):
    refused(tmp_path, [*BEFORE, (name, GOOD)], str(reason), format=tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_ends_the_reading(tmp_path, kind):
    member = tarfile.TarInfo("x.png")
    member.type, member.linkname = kind, "/etc/passwd"
    refused(tmp_path, [*BEFORE, (member, b"")], str(Refusal.MEMBER_NOT_A_FILE))


@pytest.mark.parametrize("where", ["test/0.tar", "test", "classnames.txt"])
@pytest.mark.parametrize("what", ["/dev/zero", "/etc/passwd", "..", "nowhere", "fifo"])
def test_a_link_out_of_the_folder_is_no_way_in(tmp_path, where, what):
    """Folders of a hub's cache are links, so that links are followed; where they lead to anything else is a sentence."""
    read(tmp_path, BEFORE)
    path = tmp_path / where
    path.rename(tmp_path / "aside") if path.is_dir() else path.unlink()
    make_odd(path, "fifo") if what == "fifo" else path.symlink_to(what)
    begun = time.monotonic()
    if (where, what) == ("classnames.txt", "/etc/passwd"):
        return  # lines of text are class names, whoever wrote them
    with pytest.raises(UserError) as caught:
        read_split(open_folder(tmp_path), "test", GEOMETRY)
    assert caught.value.sentence.isprintable() and "root:" not in caught.value.sentence and time.monotonic() - begun < 5


def captioned(folder, text: bytes):
    return read(folder, [("x.png", GOOD), ("x.txt", text)], kind="retrieval")


def test_captions_are_one_a_line_and_control_characters_are_counted(tmp_path):
    items = captioned(tmp_path, "a star\n<script>alert(1)</script>\na\x00b\x1b[2J\tc\na star\n".encode())
    assert items.captions == (("a star", "<script>alert(1)</script>", "a b [2J c", "a star"),)
    assert items.counts == {Conversion.CONTROL_CHARACTERS: 1}


@pytest.mark.parametrize(("text", "captions"), [
    ("a\u2028b\x0cc\x85d", ["a b c d"]), ("a\u2029b\x0bc\x1cd\x1de\x1ef\n", ["a b c d e f"]), ("a\r\nb\r\n", ["a", "b"]), ("a\r\nb", ["a", "b"]),
    ("a\nb\n", ["a", "b"]), ("a\nb", ["a", "b"]), ("a\rb", ["a b"]),
])
def test_a_caption_ends_where_its_line_does(tmp_path, text, captions):
    assert captioned(tmp_path, text.encode()).captions == (tuple(captions),)


@pytest.mark.parametrize(("text", "said"), [
    (b"\n", Refusal.NO_CAPTION), (b"a\n\n", Refusal.NO_CAPTION), (b"a\r\n\r\n", Refusal.NO_CAPTION), (b"\r\n", Refusal.NO_CAPTION), (b"w " * (1 << 19), "has 1,048,576 bytes|" + Refusal.CAPTION_LONG), (b"w" * (1 << 20), Refusal.CAPTION_LONG), (b"w" * (1 << 21), "2,097,152 bytes"),
    (b"w" * 65_000, Refusal.CAPTION_WORDS), (b"fine\n" + b"w" * 1_001, Refusal.CAPTION_WORDS), ("星".encode() * 20_000, Refusal.CAPTION_WORDS),
    (b"\x00\x01", Refusal.NO_CAPTION), (b"fine\n\x07\n", Refusal.NO_CAPTION), (b"\xff\xfe", "no UTF-8"), (b"\xed\xa0\x80", "no UTF-8"), (b"", Refusal.NO_CAPTION),
])
def test_a_caption_that_is_none_ends_the_reading(tmp_path, text, said):
    refused(tmp_path, [("x.png", GOOD), ("x.txt", text)], str(said), kind="retrieval")


@pytest.mark.parametrize("parts", [
    [*BEFORE, *BEFORE], [*BEFORE, *AFTER, *BEFORE], [*BEFORE, ("a.jpg", GOOD)], [*BEFORE, ("a.cls", b"0")], [*BEFORE, *[("x.png", GOOD)] * 200],
    [*BEFORE, ("./a.png", GOOD)], [*BEFORE, ("x.png", GOOD), ("x.PNG", GOOD)],
])
def test_a_key_that_stands_twice_ends_the_reading(tmp_path, parts):
    refused(tmp_path, parts, "stands twice")


@pytest.mark.parametrize(("names", "templates", "said"), [
    (["a"], ["{c} " * 240], None), (["a"], ["x" * 1_001 + "{c}"], "line too long"), (["n" * 900], ["{c}" * 2], Refusal.CAPTION_WORDS),
    (["n" * 30] * 2, ["{c}" * 300], Refusal.CAPTION_WORDS), (["n " * 480 + "n"], ["{c} " * 240], Refusal.CAPTION_LONG),
    ([f"n{n}" for n in range(4_000)], [f"{{c}} {n}" for n in range(3_000)], "more than 10,000,000 prompts"), (["a"], ["\x1b[2J{c}"], "control characters"),
])
def test_prompts_without_end_are_refused(tmp_path, names, templates, said):
    (tmp_path / "classnames.txt").write_text("\n".join(names))
    (tmp_path / "zeroshot_classification_templates.txt").write_text("\n".join(templates))
    if said is None:
        assert open_folder(tmp_path).templates
        return
    with pytest.raises(UserError, match=str(said)) as caught:
        open_folder(tmp_path)
    assert caught.value.sentence.isprintable() and len(caught.value.sentence) < 1_500


MEMBERS = st.lists(st.tuples(
    st.sampled_from(["a", "b", "../c", "/d", "e\n", "f/g", "", "h.i"]),
    st.sampled_from(["png", "jpg", "webp", "cls", "txt", "npy", "json", "pickle", "PNG", ""]),
    st.one_of(st.sampled_from([GOOD, b"1", b"a star", bomb(9_000), CORRUPT_EXIF, *(image for image, _ in CONVERTED)]), st.binary(max_size=300)),
), max_size=6)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(members=MEMBERS, kind=st.sampled_from(["classification", "retrieval", "multilabel"]), cut=st.one_of(st.none(), st.integers(1, 4_000)),
       edits=st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 255)), max_size=4))
def test_no_tar_makes_the_reader_raise(tmp_path_factory, members, kind, cut, edits):
    """Whatever stands in it, it is read, and each image has its label; or refused in one sentence."""
    folder = tmp_path_factory.mktemp("set")
    (folder / "classnames.txt").write_text("a\nb\n")
    (folder / "dataset_type.txt").write_text(f"{kind}\n")
    tar_of(folder / "test/0.tar", [*BEFORE[:1], ("a.txt", b"a star"), *BEFORE[1:], *((f"{stem}.{form}", content) for stem, form, content in members)])
    content = bytearray((folder / "test/0.tar").read_bytes())
    for position, value in edits:
        content[position % len(content)] = value
    (folder / "test/0.tar").write_bytes(content[:cut])
    try:
        items = read_split(open_folder(folder), "test", GEOMETRY)
    except UserError as error:
        assert error.sentence.isprintable() and "0.tar" in error.sentence
    else:
        assert len(items) == len(items.captions if kind == "retrieval" else items.labels) > 0
        assert items.images.shape[1:] == (16, 16, 3) and all(count > 0 for count in items.counts.values())

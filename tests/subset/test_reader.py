"""The reader of shards against what strangers may put into them."""

import io
import json
import struct
import tarfile
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clip_scaling.core.errors import UserError
from clip_scaling.subset.reader import ShardReader
from clip_scaling.subset.samples import LONGEST_WORDS, Conversion, Refusal, plain_caption
from odd_files import make_odd
from odd_images import CONVERTED, CORRUPT_EXIF, bomb, encoded, picture


GOOD = encoded(picture())


def shard(path, parts, **options):
    """A tar of (name or TarInfo, content)."""
    with tarfile.open(path, "w", **options) as tar:
        for name, content in parts:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if not isinstance(name, tarfile.TarInfo) or member.isreg():
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def pair(key: str, image: bytes = GOOD, caption: bytes = b"a star") -> list:
    return [(f"{key}.png", image), (f"{key}.txt", caption)]


def read(*paths, **options):
    reader = ShardReader(paths, **options)
    return list(reader), reader.counts


def refused_between_good(tmp_path, parts, **options) -> dict[Refusal, int]:
    """What is refused of `parts`; the pairs before and after them must come through."""
    path = shard(tmp_path / "0.tar", [*pair("first"), *parts, *pair("last")], **options)
    pairs, counts = read(path)
    assert [found.key for found in pairs] == ["first", "last"]
    return dict(counts.refused)


def test_pairs_come_in_order_with_pixels_and_captions(tmp_path):
    images = [picture(seed) for seed in range(3)]
    path = shard(tmp_path / "0.tar", [part for number, image in enumerate(images)
                                      for part in pair(f"k{number}", encoded(image), f"number {number}".encode())])
    pairs, counts = read(path)
    assert [(found.key, found.caption) for found in pairs] == [(f"k{n}", f"number {n}") for n in range(3)]
    for found, image in zip(pairs, images, strict=True):
        assert found.image.dtype == np.uint8
        np.testing.assert_array_equal(found.image, np.asarray(image))
    assert (counts.groups, counts.pairs, counts.refused) == (3, 3, {})


@pytest.mark.parametrize("name", ["/etc/passwd.png", "../up.png", "a/../../up.png", "C:\\x.png", "line\nbreak.png",
                                  "tab\t.png", "bell\x07.png"])
def test_unsafe_names_are_refused(tmp_path, name):
    assert refused_between_good(tmp_path, [(name, GOOD)]) == {Refusal.MEMBER_UNSAFE_NAME: 1}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    member = tarfile.TarInfo("trap.png")
    member.type, member.linkname = kind, "/etc/passwd"
    assert refused_between_good(tmp_path, [(member, b"")]) == {Refusal.MEMBER_NOT_A_FILE: 1}


@pytest.mark.parametrize("name", ["a.pyd", "a.pickle", "a.pkl", "a.npy", "a.exe", "a", ".png", "a.png.exe"])
def test_foreign_members_are_refused_and_not_opened(tmp_path, name):
    trap = b"cos\nsystem\n(S'touch " + str(tmp_path / "executed").encode() + b"'\ntR."
    assert refused_between_good(tmp_path, [(name, trap)]) == {Refusal.MEMBER_FOREIGN: 1}
    assert not (tmp_path / "executed").exists()


def test_a_name_that_is_no_utf8_is_refused(tmp_path):
    parts = [("caf\udce9.png", GOOD)]
    assert refused_between_good(tmp_path, parts, format=tarfile.GNU_FORMAT) == {Refusal.MEMBER_NAME_ENCODING: 1}


def test_duplicate_keys_are_refused(tmp_path):
    path = shard(tmp_path / "0.tar", [*pair("a"), *pair("b"), *pair("a"), ("c.png", GOOD), ("c.jpg", GOOD), ("c.txt", b"c")])
    pairs, counts = read(path)
    assert [found.key for found in pairs] == ["a", "b"]
    assert counts.refused == {Refusal.DUPLICATE_KEY: 2}


@pytest.mark.parametrize(("parts", "reason"), [
    ([("x.png", GOOD)], Refusal.NO_CAPTION),
    ([("x.txt", b"words")], Refusal.NO_IMAGE),
    (pair("x", caption=b" \n "), Refusal.NO_CAPTION),
    (pair("x", caption=b"\xff\xfe"), Refusal.CAPTION_ENCODING),
    (pair("x", caption=b"w" * (1 << 20)), Refusal.CAPTION_LONG), (pair("x", caption=b"w " * (1 << 15) + b"w"), Refusal.CAPTION_LONG),
    (pair("x", caption=b"w" * 1_001), Refusal.CAPTION_WORDS), (pair("x", caption=b"w" * 65_000), Refusal.CAPTION_WORDS),
    (pair("x", caption=b" ".join([b"w" * 500] * 5)), Refusal.CAPTION_WORDS), (pair("x", caption="星".encode() * 20_000), Refusal.CAPTION_WORDS),
    ([("x.png", GOOD), ("x.json", b'{"caption": "%s"}' % (b"w" * 65_000))], Refusal.CAPTION_WORDS),
    (pair("x", image=b""), Refusal.IMAGE_EMPTY),
    (pair("x", image=encoded(picture(size=1))), Refusal.IMAGE_TINY),
    (pair("x", image=b"GIF89a" + bytes(40)), Refusal.IMAGE_BROKEN),
    (pair("x", image=b"<svg><image href='file:///etc/passwd'/></svg>"), Refusal.IMAGE_BROKEN),
    (pair("x", image=GOOD[:-40]), Refusal.IMAGE_BROKEN),
    (pair("x", image=GOOD[:60] + bytes(20) + GOOD[80:]), Refusal.IMAGE_BROKEN),
    ([("x.png", GOOD), ("x.json", b"[" * 100_000)], Refusal.METADATA_BROKEN),
    ([("x.png", GOOD), ("x.json", b"[1]")], Refusal.METADATA_BROKEN),
    ([("x.png", GOOD), ("x.json", b'{"caption": 7}')], Refusal.NO_CAPTION),
    ([("x.png", GOOD), ("x.json", b'{"caption": "\\ud800"}')], Refusal.CAPTION_ENCODING),
    ([("x.png", GOOD), ("x.json", b'{"n": ' + b"9" * 10_000 + b"}")], Refusal.METADATA_BROKEN),
])
def test_what_is_no_pair_is_refused_with_its_reason(tmp_path, parts, reason):
    assert refused_between_good(tmp_path, parts) == {reason: 1}


@pytest.mark.parametrize("side", [50_000, 10_000, 8_001])
def test_bombs_are_refused_before_a_pixel_is_decoded(tmp_path, side):
    assert refused_between_good(tmp_path, pair("x", image=bomb(side))) == {Refusal.IMAGE_LARGE: 1}


@pytest.mark.parametrize(("image", "conversion"), CONVERTED)
def test_other_kinds_of_image_become_rgb_and_are_counted(tmp_path, image, conversion):
    pairs, counts = read(shard(tmp_path / "0.tar", pair("x", image)))
    assert pairs[0].image.shape == (16, 16, 3)
    assert counts.converted[conversion] == 1
    assert not counts.refused


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pairs, _ = read(shard(tmp_path / "0.tar", pair("x", encoded(Image.fromarray(grey)))))
    np.testing.assert_array_equal(pairs[0].image[:, :, 0], grey >> 8)


def test_an_animation_gives_its_first_frame(tmp_path):
    image = encoded(picture(), save_all=True, append_images=[picture(1)])
    pairs, _ = read(shard(tmp_path / "0.tar", pair("x", image)))
    np.testing.assert_array_equal(pairs[0].image, np.asarray(picture()))


def test_corrupt_exif_does_no_harm(tmp_path):
    pairs, counts = read(shard(tmp_path / "0.tar", [("x.jpg", CORRUPT_EXIF), ("x.txt", b"x")]))
    assert len(pairs) == 1
    assert not counts.refused


def test_control_characters_become_blanks_and_html_stays_text(tmp_path):
    pairs, counts = read(shard(tmp_path / "0.tar", pair("x", caption="a\x00b\x1b[2J\n<script>alert(1)</script>".encode())))
    assert pairs[0].caption == "a b [2J <script>alert(1)</script>"
    assert counts.converted == {Conversion.CONTROL_CHARACTERS: 1}


def longest_captions():
    """Captions at the limit: one word, many words, of letters that many or few merges join."""
    random = np.random.default_rng(0)
    for letters in ("abcdefghijklmnopqrstuvwxyz", "aeiournst", "абвгдежзиклмноп", "星月日火水木金土山川", "éèàùâêîôûçñü", "ﬁﬂﬀﬃﬄ", "😀😁😂😃😄"):
        for length in (15, 100, 300, 1_000):
            most = min(LONGEST_WORDS // length**2, 65_536 // (length * len(letters[0].encode()) + 1))
            yield " ".join("".join(random.choice(list(letters), length)) for _ in range(most))


def test_the_longest_captions_take_a_tokenizer_less_than_a_second():
    pytest.importorskip("torch")
    from clip_scaling.train.openclip import open_clip

    tokenizer = open_clip.SimpleTokenizer()  # more merges, and slower, than ours
    tokenizer(["warm up"])
    for caption in longest_captions():
        assert plain_caption(caption).value == caption
        begun = time.process_time()
        tokenizer([caption])
        assert time.process_time() - begun < 1


def test_usual_long_captions_are_kept(tmp_path):
    """An address of 900 characters, a page of prose, a page of Chinese with its line breaks."""
    usual = ["see https://example.org/?" + "q=1&" * 220, "the quick brown fox jumps over the lazy dog " * 1_400, ("星" * 40 + "\n") * 300]
    pairs, counts = read(shard(tmp_path / "0.tar", [part for n, text in enumerate(usual) for part in pair(f"k{n}", caption=text.encode())]))
    assert len(pairs) == 3 and not counts.refused


def test_the_metadata_caption_stands_in(tmp_path):
    pairs, _ = read(shard(tmp_path / "0.tar", [("x.jpg", encoded(picture(), "JPEG")), ("x.json", b'{"caption": "a fox"}')]))
    assert pairs[0].caption == "a fox"


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("key", ["short", "k" * 90, "d" * 60 + "/" + "k" * 60, "unicode-é-星"])
def test_every_form_of_tar_is_read_as_tarfile_reads_it(tmp_path, format, key):
    path = shard(tmp_path / "0.tar", pair(key), format=format)
    with tarfile.open(path) as tar:
        assert tar.getnames() == [f"{key}.png", f"{key}.txt"]
    assert [found.key for found in read(path)[0]] == [key]


def test_webdatasets_own_writer_is_read(tmp_path):
    import webdataset

    with webdataset.TarWriter(str(tmp_path / "0.tar")) as writer:
        writer.write({"__key__": "abc", "png": GOOD, "txt": "a star", "json": {"caption": "other"}})
    pairs, counts = read(tmp_path / "0.tar")
    assert [(found.key, found.caption) for found in pairs] == [("abc", "a star")]
    assert not counts.refused


@pytest.mark.parametrize("keep", [0, 100, 511, 512, 700, 2_000])
def test_a_truncated_shard_is_counted(tmp_path, keep):
    path = shard(tmp_path / "0.tar", [part for number in range(4) for part in pair(f"k{number}")])
    path.write_bytes(path.read_bytes()[:keep])
    pairs, counts = read(path)
    assert counts.refused[Refusal.SHARD_TRUNCATED] == 1
    assert len(pairs) < 4


def test_a_broken_header_and_data_after_the_end_are_counted(tmp_path):
    one = shard(tmp_path / "0.tar", [*pair("a"), *pair("b")])
    two = shard(tmp_path / "1.tar", pair("c"))
    (tmp_path / "2.tar").write_bytes(one.read_bytes() + two.read_bytes())
    content = bytearray(one.read_bytes())
    content[bytes(content).index(b"b.png") + 130] ^= 1  # the checksum no longer fits
    (tmp_path / "3.tar").write_bytes(bytes(content))
    assert read(tmp_path / "2.tar")[1].refused == {Refusal.SHARD_TRAILING: 1}
    pairs, counts = read(tmp_path / "3.tar")
    assert [found.key for found in pairs] == ["a"]
    assert counts.refused == {Refusal.SHARD_BROKEN: 1}


def test_a_header_that_promises_more_than_the_file_allocates_nothing(tmp_path):
    member = tarfile.TarInfo("x.png")
    member.size = 1 << 62
    (tmp_path / "0.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + GOOD)
    pairs, counts = read(tmp_path / "0.tar")
    assert not pairs
    assert counts.refused == {Refusal.SHARD_TRUNCATED: 1}


def test_a_shard_that_is_not_there_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "none.tar")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)


def test_captions_alone_do_not_open_images(tmp_path):
    pairs, counts = read(shard(tmp_path / "0.tar", pair("x", image=b"no image")), images=False)
    assert [(found.caption, found.image) for found in pairs] == [("a star", None)]
    assert not counts.refused


def test_counts_can_be_written_as_json(tmp_path):
    _, counts = read(shard(tmp_path / "0.tar", [*pair("a"), *pair("b", image=b""), ("c.pkl", b"")]))
    said = json.loads(json.dumps(counts.as_json()))
    assert said["pairs"] == 1
    assert said["refused"] == {"image of 0 bytes": 1, "neither image, caption nor metadata": 1}


def test_transparency_is_laid_on_white(tmp_path):
    clear = np.zeros((16, 16, 4), np.uint8)
    clear[:8, :, 3] = 255  # black above, black but clear beneath
    pairs, _ = read(shard(tmp_path / "0.tar", pair("x", encoded(Image.fromarray(clear)))))
    assert not pairs[0].image[:8].any() and (pairs[0].image[8:] == 255).all()


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    """Each scan of a progressive JPEG costs as much as the picture, and a few bytes of file."""
    content = encoded(picture(), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda"):-2]
    assert read(shard(tmp_path / "0.tar", pair("x", content)))[1].pairs == 1
    slow = content[:-2] + last * 200 + content[-2:]
    assert refused_between_good(tmp_path, pair("x", slow)) == {Refusal.IMAGE_SLOW: 1}


@pytest.mark.parametrize("chunk", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_bomb_beside_the_pixels_is_not_inflated(tmp_path, chunk):
    tail = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[chunk]
    body = tail + zlib.compress(bytes(64 << 20), 1)
    part = struct.pack(">I", len(body)) + chunk + body + struct.pack(">I", zlib.crc32(chunk + body))
    tracemalloc.start()
    counts = read(shard(tmp_path / "0.tar", pair("x", GOOD[:33] + part + GOOD[33:])))[1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20
    assert counts.pairs + counts.refused[Refusal.IMAGE_BROKEN] == 1


def test_a_webp_that_promises_a_huge_canvas_is_refused(tmp_path):
    content = bytearray(encoded(picture(), "WEBP", lossless=True, save_all=True, append_images=[picture(1)]))
    assert content[12:16] == b"VP8X"
    content[24:30] = b"\xfe\x3f\x00" * 2  # 16,383 x 16,383
    assert refused_between_good(tmp_path, pair("x", bytes(content))).keys() <= {Refusal.IMAGE_LARGE, Refusal.IMAGE_BROKEN}


def test_a_key_with_many_members_is_one_duplicate(tmp_path):
    assert refused_between_good(tmp_path, [("x.png", GOOD)] * 200) == {Refusal.DUPLICATE_KEY: 1}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(
    st.binary(max_size=4_096),
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=99), st.sampled_from(b"0123456789xgLKSVDM\x00"), st.binary(max_size=700)),
        max_size=6,
    ).map(lambda members: b"".join(made_member(*member) for member in members) + bytes(1_024)),
))
def test_no_bytes_make_the_reader_raise(tmp_path, content):
    (tmp_path / "0.tar").write_bytes(content)
    pairs, counts = read(tmp_path / "0.tar")
    assert counts.pairs == len(pairs)
    assert counts.groups == counts.pairs + sum(count for reason, count in counts.refused.items() if reason.of_pair)


def made_member(name: bytes, kind: int, body: bytes) -> bytes:
    """A member with a correct checksum, whatever its name and type."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136], block[148:156], block[156] = b"%011o\0" % len(body), b" " * 8, kind
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + body + bytes(-len(body) % 512)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP"]), cut=st.integers(0, 700),
       edits=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6))
def test_no_image_makes_the_reader_raise(tmp_path, kind, cut, edits):
    content = bytearray(encoded(picture(), kind))
    for position, value in edits:
        content[position % len(content)] = value
    pairs, counts = read(shard(tmp_path / "0.tar", pair("x", bytes(content[: cut or None]))))
    assert counts.pairs + sum(counts.refused.values()) == 1
    assert all(found.image.dtype == np.uint8 and found.image.ndim == 3 for found in pairs)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, 255)), min_size=1, max_size=8),
       cut=st.one_of(st.none(), st.integers(0, 10_240)))
def test_no_damage_makes_the_reader_raise_or_lose_count(tmp_path, edits, cut):
    path = shard(tmp_path / "0.tar", [part for number in range(3) for part in pair(f"k{number}")])
    content = bytearray(path.read_bytes())
    for position, value in edits:
        content[position % len(content)] = value
    path.write_bytes(bytes(content[:cut]))
    pairs, counts = read(path)
    assert counts.pairs == len(pairs)
    assert counts.groups == counts.pairs + sum(count for reason, count in counts.refused.items() if reason.of_pair)
    assert all(found.image.ndim == 3 and found.caption for found in pairs)


@pytest.mark.parametrize("kind", ["fifo", "zero", "sparse", "folder"])
@pytest.mark.parametrize("how", ["reader", "pattern", "glob"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path, kind, how):
    from clip_scaling.subset.users import expand

    path = tmp_path / "0.tar"
    make_odd(path, kind)
    with pytest.raises(UserError) as caught:
        pattern = {"pattern": path, "glob": tmp_path / "*.tar"}.get(how)
        list(ShardReader(expand(str(pattern)) if pattern else [path]))
    assert "0.tar" in caught.value.sentence


def test_zeros_without_end_are_a_fault_soon(tmp_path):
    path = shard(tmp_path / "0.tar", pair("a"))
    with open(path, "r+b") as file:
        file.truncate(40 << 30)
    begun = time.monotonic()
    pairs, counts = read(path)
    assert len(pairs) == 1 and counts.refused == {Refusal.SHARD_TRAILING: 1} and time.monotonic() - begun < 5


@pytest.mark.parametrize(("pattern", "said"), [
    ("{" * 20_000 + "}" * 20_000, "braces in one another"), ("{" * 5000, "braces in one another"), ("{a," * 900 + "b" + "}" * 900, "braces in"),
    ("{a,b}" * 40 + ".tar", "more than 1,000,000"), ("{0..99999999999}.tar", "more than"), ("{0..9999}{0..9999}", "more than"),
    ("{{0..999},{0..999}}{a,b,c}{0..999}", "more than"), ("{a..z}{0..99999}", "more than"), ("{0..5", "no brace pattern|no such"),
    ("~nosuchuser/x.tar", "no such user"), ("{a,~nosuchuser}/x.tar", "no such"), ("{1..2}{x", "no brace pattern|no such"), ("a\x1b[31m.tar", "no such"),
    ("{0..10..0}", "no such|no brace"), ("{" + "9" * 3000 + ".." + "9" * 3000 + "}", "no such|no brace|more"), ("\\{a,b\\}", "no such"), ("", "cannot be read"),
])
def test_hostile_patterns_are_a_sentence_soon(tmp_path, monkeypatch, pattern, said):
    from clip_scaling.subset.users import expand

    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    begun = time.monotonic()
    with pytest.raises(UserError, match=said) as caught:
        expand(pattern)
    assert time.monotonic() - begun < 5 and len(caught.value.sentence) < 1500 and caught.value.sentence.isprintable()


PIECES = st.lists(st.sampled_from(["{", "}", ",", "0..3", "a", "b..k", "..", "\\", "1..2", "x", "7..1..2"]), max_size=14).map("".join)


@settings(max_examples=300, deadline=None)
@given(PIECES)
def test_reckoned_names_are_never_fewer_than_expanded(pattern):
    from clip_scaling.subset.users import _expansions

    braceexpand = pytest.importorskip("braceexpand")
    try:
        names = list(braceexpand.braceexpand(pattern))
    except ValueError:
        return
    assert len(names) <= _expansions(pattern)

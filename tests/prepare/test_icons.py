"""Icons: what is left out and why, names, families, captions."""

import io
import json
import tarfile
import time
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.prepare import emoji, icons
from clip_scaling.prepare import render as renderer
from clip_scaling.prepare.cost import elements_drawn
from clip_scaling.prepare.families import assign, classes, families, roles
from clip_scaling.prepare.icons import Icon, IconSet, LeftOut
from clip_scaling.prepare.names import caption, draw, words
from clip_scaling.prepare.render import render
from odd_files import make_odd

PATH = '<path fill="currentColor" d="M2 2h20v20z"/>'


def document(prefix="set", license_="MIT", category="UI 24px", **bodies) -> dict:
    return {"prefix": prefix, "width": 24, "height": 24, "icons": {name: {"body": body} for name, body in bodies.items()},
            "info": {"name": "Set", "author": {"name": prefix}, "license": {"spdx": license_, "url": ""}, "category": category}}


def collect(tmp_path, *documents):
    for number, one in enumerate(documents):
        (tmp_path / f"{number}.json").write_text(json.dumps(one))
    return icons.collect(tmp_path)


@pytest.mark.parametrize(
    ("license_", "category", "reason"),
    [("CC-BY-NC-4.0", "UI", LeftOut.LICENCE_NONCOMMERCIAL), ("GPL-3.0", "UI", LeftOut.LICENCE_COPYLEFT),
     ("CC-BY-SA-4.0", "UI", LeftOut.LICENCE_COPYLEFT), ("Proprietary", "UI", LeftOut.LICENCE_OTHER), ("", "UI", LeftOut.LICENCE_OTHER),
     ("MIT", "Logos", LeftOut.LOGOS)],
)
def test_sets_are_left_out_with_a_reason(tmp_path, license_, category, reason):
    found = collect(tmp_path, document(license_=license_, category=category, home=PATH))
    assert found.left_out_sets == {"set": reason} and not found.icons and found.left_out_icons[reason] == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<script>alert(1)</script>", LeftOut.ACTIVE), ('<image href="http://x/a.png"/>', LeftOut.ACTIVE),
        ('<image xlink:href="file:///etc/passwd"/>', LeftOut.ACTIVE), ('<path onload="x()" d="M0 0"/>', LeftOut.ACTIVE),
        ('<path\nonclick ="x()"/>', LeftOut.ACTIVE), ("<!DOCTYPE a [<!ENTITY b 'c'>]>", LeftOut.ACTIVE), ("<?xml?>", LeftOut.ACTIVE),
        ('<use href="other.svg#a"/>', LeftOut.ACTIVE), ('<path fill="url(http://x)"/>', LeftOut.ACTIVE),
        ("<foreignObject/>", LeftOut.ACTIVE), ("< SCRIPT >", LeftOut.ACTIVE), ("<style>@import 'x'</style>", LeftOut.ACTIVE),
        ('<animate attributeName="d"/>', LeftOut.ANIMATED), ('<set to="1"/>', LeftOut.ANIMATED), ("<g/>" * 20_000, LeftOut.LARGE),
        ("<g>" * 300 + "</g>" * 300, LeftOut.COSTLY), ("<g>" * 19_000, LeftOut.BROKEN), ("<g a='/>'>" * 6_000, LeftOut.BROKEN),
        ('<path fill="url(#a)"', LeftOut.BROKEN), ("</svg><svg>&#0;", LeftOut.BROKEN),
    ],
)
def test_drawings_that_do_more_than_draw_are_refused_and_counted(tmp_path, body, reason):
    found = collect(tmp_path, document(evil=body, home=PATH))
    assert [icon.name for icon in found.icons] == ["home"] and found.left_out_icons == {reason: 1, LeftOut.SAME_BODY: 0}


SHAPE = '<path d="M0 0h24v24z"/>'
FILTERED = '<filter id="f">{}</filter><path filter="url(#f)" d="M0 0h24v24z"/>'


def chain(element: str, use: str, *, times: int = 2, length: int = 20) -> str:
    """`length` elements, each of which uses the one before `times` times: times ** length in the end."""
    links = "".join(f'<{element} id="a{n}">{use.format(f"#a{n - 1}") * times}</{element}>' for n in range(1, length))
    return f'<{element} id="a0">{SHAPE}</{element}>{links}{use.format(f"#a{length - 1}")}'


def patterned(**sides) -> str:
    return f'<pattern id="p" {" ".join(f"{n}={v!r}" for n, v in sides.items())}>{SHAPE}</pattern><path fill="url(#p)" d="M0 0h9v9z"/>'


COSTLY = {
    "clips": chain("clipPath", '<path clip-path="url({})" d="M0 0h9v9z"/>'),
    "masks": chain("mask", "<path mask='url({})' d='M0 0h9v9z'/>"),
    "copies": chain("g", '<use href="{}"/>'), "old copies": chain("g", '<use xlink:href="{}"/>'),
    "copies by style": chain("g", '<path style="clip-path:url({})"/>'), "hidden": chain("mask", '<path mask="&#117;rl({})"/>'),
    "long chain": chain("g", '<use href="{}"/>', times=1, length=90),
    "clip on clip": chain("g", '<clipPath id="c{0}" clip-path="url({0})"/><use href="{0}"/>'),
    "copies of many": f'<g id="a">{SHAPE * 100}</g>' + '<use href="#a"/>' * 128,
    "markers": '<marker id="m">' + SHAPE + '</marker><path marker-mid="url(#m)" d="M0 0' + "h1" * 9_000 + '"/>',
    "inherited marker": f'<marker id="m">{SHAPE}</marker><g marker-mid="url(#m)">' + f'<path d="M0 0{"h1" * 90}"/>' * 90 + "</g>",
    "filters": '<filter id="f">' + '<feGaussianBlur stdDeviation="5"/>' * 500 + "</filter>" + '<path filter="url(#f)"/>' * 400,
    "circle": '<mask id="a" mask="url(#b)"/><mask id="b" mask="url(#a)"/><path mask="url(#a)"/>',
    "self": '<clipPath id="c" clip-path="url(#c)"/><path clip-path="url(#c)"/>',
    "gradients": "".join(f'<linearGradient id="a{n}" href="#a{n + 1}"/>' for n in range(900)) + '<path fill="url(#a0)"/>',
    "wide pattern": patterned(width="30000", height="30000", patternUnits="userSpaceOnUse"),
    "scaled pattern": patterned(width="1", height="1", patternTransform="scale(100000)"), "pattern": patterned(width="1e9", height="1e9"),
    "noise": FILTERED.format('<feTurbulence numOctaves="999999999"/>'), "image": FILTERED.format('<feImage href="#f"/>'),
    "matrix": FILTERED.format('<feConvolveMatrix order="150"/>'), "spread": FILTERED.format('<feMorphology radius="1e9"/>'),
    "prefix": FILTERED.format('<s:feTurbulence xmlns:s="http://www.w3.org/2000/svg"/>'),
}


@pytest.mark.parametrize("name", COSTLY)
def test_drawings_of_endless_work_are_refused_soon(tmp_path, name):
    assert len(COSTLY[name]) < 60_000
    begun = time.monotonic()
    found = collect(tmp_path, document(evil=COSTLY[name], home=PATH))
    assert [icon.name for icon in found.icons] == ["home"] and found.left_out_icons[LeftOut.COSTLY] == 1
    assert time.monotonic() - begun < 5


def test_each_drawing_of_endless_work_is_work_to_the_renderer_or_leads_in_a_circle():
    """What is refused is refused for its weight: the same parts, used little, pass."""
    few = [chain("clipPath", '<path clip-path="url({})" d="M0 0h9v9z"/>', length=4), chain("g", '<use href="{}"/>', length=4),
           FILTERED.format('<feGaussianBlur stdDeviation="4"/>' * 40), f'<marker id="m">{SHAPE}</marker><path marker-mid="url(#m)" d="M0 0h9v9"/>']
    assert all(elements_drawn(body) < 1_000 for body in few)


TAGS = st.sampled_from(["g", "clipPath", "mask", "marker", "pattern", "filter", "feGaussianBlur", "use", "path", "symbol", "linearGradient", "svg"])
VALUES = st.one_of(st.sampled_from([form for n in "abc" for form in (f"url(#{n})", f"#{n}", f"url( '#{n}' )", n)] + ["1e9", "M0 0h9", "-1", ""]), st.text(max_size=8))
NAMES = st.sampled_from(["id", "href", "clip-path", "mask", "filter", "marker-mid", "fill", "d", "width", "style", "opacity"])


@st.composite
def bodies(draw_, depth=3):
    """Elements in elements, most of them well-formed, with references to each other."""
    parts = []
    for _ in range(draw_(st.integers(0, 3))):
        tag, attributes = draw_(TAGS), draw_(st.dictionaries(NAMES, VALUES, max_size=3))
        inner = draw_(bodies(depth - 1)) if depth else ""
        parts.append(f"<{tag} {' '.join(f'{name}={quoteattr(value)}' for name, value in attributes.items())}>{inner}</{tag}>")
    return "".join(parts)


@settings(max_examples=50, deadline=None)
@given(body=st.one_of(bodies(), st.text(max_size=200), st.text("<>/=\"'&#;gusehrfl( )", max_size=200)))
def test_no_body_makes_the_check_raise(body):
    """It is used, or left out with a reason; and so is each that is used by the renderer."""
    begun = time.monotonic()
    reason = icons._icon_reason(Icon("set", "x", body, (0, 0, 24, 24), ""), hidden=False)
    assert reason is None or reason in LeftOut
    if reason is None:
        made = render(Icon("set", "x", body, (0, 0, 24, 24), ""), 16)
        assert made.left_out in (None, LeftOut.BLANK, LeftOut.RENDER_FAILED)
    assert time.monotonic() - begun < 2


def test_references_inside_a_drawing_are_fine(tmp_path):
    body = '<defs><path id="a" d="M0 0h9"/></defs><use href="#a"/><g fill="url(#b)"/>'
    assert collect(tmp_path, document(home=body)).icons


def test_huge_view_box_same_body_and_logo_names(tmp_path):
    one = document(home=PATH, house=PATH, brand_x=PATH)
    one["icons"] |= {"wide": {"body": "<g/>", "width": 50_000}, "brand-x": {"body": "<b/>"}, "123": {"body": "<i/>"},
                     "ghost": {"body": "<u/>", "hidden": True}, "flat": {"body": "<a/>", "height": 0}}
    found = collect(tmp_path, one)
    assert [icon.name for icon in found.icons] == ["brand_x"]
    assert found.left_out_icons == {LeftOut.SAME_BODY: 2, LeftOut.LARGE: 2, LeftOut.LOGOS: 1, LeftOut.UNNAMED: 1, LeftOut.HIDDEN: 1}


def nested(depth: int) -> bytes:
    return b'{"prefix": "a", "icons": {"b": ' + b'{"x":' * depth + b"1" + b"}" * depth + b"}}"


ICONS = b'{"prefix": "a", "icons": {"b": {"body": "<g/>"%s}}%s}'


@pytest.mark.parametrize(("content", "said"), [
    (b'{"prefix": ', "EOF"), (b"", "EOF"), (b"[]", "object"), (b"null", "object"), (b"7", "object"), (b'"icons"', "object"),
    (b"\xff\xfe", "expected value"), (b'{"prefix": "\xff"}', "unicode|UTF-8"), (nested(100_000), "recursion"), (b"[" * 200_000, "recursion"),
    (b"{}", "prefix: Field required"), (b'{"prefix": "a"}', "icons: Field required"), (b'{"icons": {}}', "prefix"),
    (b'{"prefix": 7, "icons": {}}', "prefix"), (b'{"prefix": "../a", "icons": {}}', "prefix"), (b'{"prefix": "a\\n", "icons": {}}', "prefix"),
    (b'{"prefix": "a", "icons": []}', "icons"), (b'{"prefix": "a", "icons": {"b": 1}}', "icons.b"), (b'{"prefix": "a", "icons": {"b": {}}}', "icons.b.body"),
    (b'{"prefix": "a", "icons": {"b": {"body": ["<g/>"]}}}', "icons.b.body"), (b'{"prefix": "a", "icons": {"b": {"body": "\\ud800"}}}', "hex escape"),
    (b'{"prefix": "a", "icons": {"../b": {"body": "<g/>"}}}', "icons"), (b'{"prefix": "a", "icons": {"b\\u001b[31m": {"body": "<g/>"}}}', "icons"),
    (b'{"prefix": "a", "icons": {"%s": {"body": "<g/>"}}}' % (b"b" * 5_000), "icons"),
    (ICONS % (b', "width": "24"', b""), "icons.b.width"), (ICONS % (b', "width": NaN', b""), "width"), (ICONS % (b', "left": 1e999', b""), "left"),
    (ICONS % (b', "top": -Infinity', b""), "top"), (ICONS % (b', "width": true', b""), "width"), (ICONS % (b', "width": 1' + b"0" * 5_000, b""), "out of range"),
    (ICONS % (b', "hidden": []', b""), "hidden"), (ICONS % (b"", b', "height": []'), "height"), (ICONS % (b"", b', "info": []'), "info"),
    (ICONS % (b"", b', "info": {"license": "MIT"}'), "info.license"), (ICONS % (b"", b', "info": {"license": {"spdx": 1}}'), "info.license.spdx"),
    (ICONS % (b"", b', "info": {"author": {"name": {}}}'), "info.author.name"), (ICONS % (b"", b', "categories": {"a": [[]]}'), "categories.a.0"),
    (ICONS % (b"", b', "categories": []'), "categories"), (ICONS % (b"", b', "suffixes": ["a"]'), "suffixes"),
])
def test_a_broken_set_is_a_sentence(tmp_path, content, said):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=f"(?i)broken icon set.*({said}).*remove it") as caught:
        icons.collect(tmp_path)
    assert "a.json" in caught.value.sentence and caught.value.sentence.isprintable() and len(caught.value.sentence) < 1500


def test_a_set_may_stand_once_and_is_a_file(tmp_path):
    with pytest.raises(UserError, match="two icon sets 'set'"):
        collect(tmp_path, document(a=PATH), document(b=PATH))
    make_odd(tmp_path / "2.json", "fifo")
    with pytest.raises(UserError, match="2.json: is no file"):
        collect(tmp_path, document(prefix="x", a=PATH), document(prefix="y", b=PATH))


def archive(path, name: str, content: bytes):
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b"", lambda b: b"no gzip", lambda b: b[:40] + bytes(9) + b[49:], lambda b: b[:10]])
def test_a_broken_archive_is_a_sentence(tmp_path, damage):
    path = archive(tmp_path / "a.tgz", "package/json/set.json", json.dumps(document(home=PATH)).encode())
    assert len(icons.collect(path).icons) == 1
    path.write_bytes(damage(path.read_bytes()))
    for read in (icons.collect, emoji.read):
        with pytest.raises(UserError, match="a.tgz"):
            read(path)


def test_a_broken_set_in_an_archive_is_named(tmp_path):
    with pytest.raises(UserError, match="a.tgz, package/json/set.json: holds a broken icon set"):
        icons.collect(archive(tmp_path / "a.tgz", "package/json/set.json", b"[]"))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"[{}]", b'[{"label": 1}]', b'[{"label": "a", "tags": 1}]', b"\xff", b"[" * 200_000])
def test_broken_names_of_emoji_are_a_sentence(tmp_path, content):
    (tmp_path / "emoji.json").write_bytes(content)
    with pytest.raises(UserError, match="emoji.json: holds no emoji names"):
        emoji.read(tmp_path / "emoji.json")


def test_a_drawing_that_kills_or_holds_up_the_renderer_is_one_that_failed(monkeypatch):
    """Such are refused before; the processes that render are confined nonetheless, and no other drawing is lost."""
    monkeypatch.setattr(renderer, "_LONGEST", 0)
    monkeypatch.setattr(renderer, "_CHUNK", 4)
    good = [Icon("set", f"i{n}", f'<path d="M{n} 0h9v9z"/>', (0, 0, 24, 24), "") for n in range(12)]
    expected = list(renderer.render_all(good, 16, 2))
    bad = {1: "<g>" * 19_000, 2: COSTLY["clips"], 9: COSTLY["wide pattern"].replace("30000", "65000")}
    mixed = [Icon("set", "bad", bad[n], (0, 0, 24, 24), "") if n in bad else icon_ for n, icon_ in enumerate(good)]
    found = list(renderer.render_all(mixed, 16, 2))
    assert [made.left_out for made in found] == [LeftOut.RENDER_FAILED if n in bad else None for n in range(12)]
    assert [made.png for n, made in enumerate(found) if n not in bad] == [made.png for n, made in enumerate(expected) if n not in bad]


def icon(name, prefix="set") -> Icon:
    return Icon(prefix, name, PATH, (0, 0, 24, 24), "")


def icon_set(prefix="set", author="A", **changes) -> IconSet:
    return IconSet(**{**dict(prefix=prefix, title="My Set", author=author, license="MIT", license_url="", category="UI 24px",
                             palette=False, suffixes=()), **changes})


@pytest.mark.parametrize(
    ("name", "base", "style"),
    [("home-outline", "home", "outline"), ("baseline-home-24", "home", "baseline"), ("line-chart", "line chart", ""),
     ("arrow-left-20-filled", "arrow left", "filled"), ("bold", "bold", ""), ("outline-bold", "outline", "bold"), ("24-hours", "24 hours", "")],
)
def test_words(name, base, style):
    said = words(icon(name), icon_set())
    assert (said.base, said.style) == (base, style)


@given(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,5}", fullmatch=True), st.integers(0, 3))
def test_caption_depends_on_key_and_seed_alone_and_is_plain(name, seed):
    said = caption(icon(name), icon_set(), {}, seed)
    assert said == caption(icon(name), icon_set(), {}, seed)
    assert said and set(said) <= set("abcdefghijklmnopqrstuvwxyz0123456789 ")


def test_half_of_the_captions_are_the_base_name():
    said = [caption(icon(f"home-{letter}{other}-outline"), icon_set(), {}, 0) for letter in "abcdefghijkl" for other in "abcdefghijklmnopqrstuvwxyz"]
    share = sum(len(text.split()) == 2 for text in said) / len(said)
    assert 0.42 < share < 0.58


def test_draw_is_uniform():
    values = [draw(str(number), "p", 0) for number in range(2000)]
    assert 0.47 < sum(values) / 2000 < 0.53 and 0 <= min(values) and max(values) < 1


def test_families_join_authors_and_derivations_and_never_straddle():
    sets = {name: icon_set(name, author) for name, author in
            (("mingcute", "M"), ("mine", "m"), ("lucide", "L"), ("feather", "F"), ("other", "O"), ("ri", "R"))}
    family = families(sets)
    assert family["mine"] == family["mingcute"] and family["feather"] == family["lucide"] != family["other"]
    place, members = assign(sets)
    assert place == {"mingcute": "held out", "mine": "held out", "lucide": "pool", "feather": "pool", "other": "pool", "ri": "tuning"}
    assert members["icons"] == ["mingcute"] and members["tuning"] == ["ri"]


def test_no_set_has_two_roles_and_no_base_name_two_classes():
    sets = [name for named in roles().values() for name in named]
    assert len(sets) == len(set(sets)) and "fluent-color" not in sets
    bases = [base for meant in classes().values() for base in meant]
    assert len(bases) == len(set(bases)) and len(classes()) >= 180

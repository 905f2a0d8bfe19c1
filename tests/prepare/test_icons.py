"""Icons: what is left out and why, names, families, captions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.prepare import icons
from clip_scaling.prepare.families import assign, classes, families, roles
from clip_scaling.prepare.icons import Icon, IconSet, LeftOut
from clip_scaling.prepare.names import caption, draw, words

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
        ("<g>" * 300 + "</g>" * 300, LeftOut.COSTLY), ('<use href="#a"/>' * 200, LeftOut.COSTLY),
        ('<filter><feTurbulence numOctaves="999999999"/></filter>', LeftOut.COSTLY),
    ],
)
def test_drawings_that_do_more_than_draw_are_refused_and_counted(tmp_path, body, reason):
    found = collect(tmp_path, document(evil=body, home=PATH))
    assert [icon.name for icon in found.icons] == ["home"] and found.left_out_icons == {reason: 1, LeftOut.SAME_BODY: 0}


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


def test_broken_set_is_a_sentence(tmp_path):
    (tmp_path / "a.json").write_text('{"prefix": ')
    with pytest.raises(UserError, match="broken icon set"):
        icons.collect(tmp_path)


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

"""What a study says of itself is shown in the book as it stands: nothing of it is HTML, a link, a picture or a directive."""

import csv
import json
import re

import made_study
import pytest

from clip_scaling.book import chapters, facts
from clip_scaling.core.errors import UserError
from clip_scaling.core.study import load_study

HOSTILE = [
    "<script>alert(1)</script>", "<img src=evil onerror=alert(1)>", "![x](evil)", "[x](javascript:evil)", "[x]: evil",
    "a` <b>evil</b> `", "``` {raw} html\n<script>evil</script>\n```", "{raw-html}`<script>evil</script>`", "$\\href{evil}{x}$",
    ":::{raw} html\n<script>evil</script>\n:::", "</title><script>evil</script>", "&lt;script&gt;", "{{ evil }}", "{% evil %}",
    "<evil:x@y>", "x\n\n<script>evil</script>", "# evil", "- evil", "% evil", "{cite}`evil`", "**evil**", "__evil__", "|evil|",
    "\x1b]8;;evil\x07", "<!-- evil", "\u202eevil", "(evil)=", "[^evil]", "*[evil]: x", "~~~ {raw} html", "+++ evil",
]


@pytest.fixture(scope="module")
def values(tmp_path_factory, root):
    """Facts of the made study, with a data card and timings as a real one has."""
    place = made_study.write(tmp_path_factory.mktemp("facts"), root)
    for name in ("data_card.json", "verification.json", "timings.csv"):
        (place / "results/made" / name).write_bytes((root / "results/cpu" / name).read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIP_SCALING_ROOT", str(place))
        patch.setattr(chapters, "notebooks_of", lambda study: ["zero_shot", "planner"])
        made = facts.gather(["made"])
        yield made | {"study": made["studies"]["made"]}, place / "book/chapters"


def replaced(value, text: str):
    """`value` with every text, and every name of a mapping of counts, made `text`; addresses of pages stay."""
    if isinstance(value, dict):
        counts = len(value) and all(isinstance(one, int) and not isinstance(one, bool) for one in value.values())
        known = {"test", "near_duplicate", "train"} & set(value)
        return {(f"{text} {key}" if counts and not known and key not in FIELDS else key):
                (one if key in ("pages", "tuning") else one if key == "name" and value.get("pages") else replaced(one, text))
                for key, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, text) for one in value]
    return text if isinstance(value, str) else value


FIELDS = {"pairs", "sets", "base_names", "icons", "all", "rows", "equal", "within", "differs"}


def html_of(text: str) -> str:
    from docutils.core import publish_string
    from myst_parser.docutils_ import Parser

    settings = {"myst_enable_extensions": ["amsmath", "colon_fence", "deflist", "dollarmath", "html_image", "attrs_inline"],
                "report_level": 5, "halt_level": 6, "input_encoding": "unicode", "output_encoding": "unicode",
                "embed_stylesheet": False, "math_output": "mathml"}
    return publish_string(text, parser=Parser(), writer_name="html5", settings_overrides=settings)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_of_a_study_is_markup(values, hostile):
    made, folder = values
    harmed = {**made, "studies": {"made": replaced(made["studies"]["made"], hostile)}}
    harmed["study"] = harmed["studies"]["made"]
    for template in ("study.md", "index.md", "explore.md"):
        plain, said = html_of(facts.fill_in(folder / template, made)), html_of(facts.fill_in(folder / template, harmed))
        for mark in ("<script", "<img", "<a ", "<h1", "<h2", "<h3", "<math", "<strong", "<b>", "<em", "<table", "<aside", "<hr"):
            assert said.count(mark) <= plain.count(mark), (template, mark)
        assert not re.search(r"<[^>]*(?:evil|onerror)[^>]*>", re.sub(r'(?:id|class|ids|names|href)="(?:#|id\d)?[\w -]*"', "", said)), template
        assert "\x1b" not in said and "\u202e" not in said


def test_every_template_is_filled_by_one_environment(values):
    made, folder = values
    for template in folder.glob("*.md"):
        if template.name != "published.md":
            assert facts.fill_in(template, made)


@pytest.mark.parametrize("text", ["Icons on a laptop", "A & B: 5 % of it", "runs_of_2", "-0.08", "1.2", "a-b (c), d/e"])
def test_ordinary_text_reads_the_same(tmp_path, text):
    (tmp_path / "x.md").write_text("{{ x }} and {{ y|power }}")
    made = facts.fill_in(tmp_path / "x.md", {"x": text, "y": 12000.0})
    from html import unescape

    # A number and its unit stay on one line.
    assert unescape(made).replace("\u00a0", " ") == text + " and 12,000"


@pytest.mark.parametrize("title", [*HOSTILE[:6], "x" * 121, "", "   ", "a\nb", "a\tb", "\x1b[31mred", "\u202ex"])
def test_a_title_is_a_short_plain_line(tmp_path, root, title):
    text = (root / "studies/cpu.yaml").read_text().replace("title: Icons on a laptop", f"title: {json.dumps(title)}")
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(UserError, match="title"):
        load_study(str(tmp_path / "my.yaml"))


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"1", b"\0"])
@pytest.mark.parametrize("name", ["data_card.json", "verification.json", "benchmarks.json"])
def test_broken_json_is_one_sentence(tmp_path, root, monkeypatch, name, content):
    place = made_study.write(tmp_path, root)
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(place))
    monkeypatch.setattr(chapters, "notebooks_of", lambda study: [])
    (place / "results" / ("" if name == "benchmarks.json" else "made") / name).write_bytes(content)
    with pytest.raises(UserError, match=name) as told:
        facts.gather(["made"])
    assert "\n" not in told.value.sentence


def test_a_fact_of_another_type_is_one_sentence(tmp_path):
    (tmp_path / "a.md").write_text("{{ x|count }}")
    with pytest.raises(UserError, match="cannot be filled in"):
        facts.fill_in(tmp_path / "a.md", {"x": [1]})


@pytest.mark.parametrize(("page", "training"), [("study.md", True), ("published.md", False)])
def test_pages_say_what_was_compared_and_with_what(values, root, page, training):
    """Versions of the training and those of the comparison are told apart; nothing was trained for the published study."""
    made, _ = values
    compared = {"comparisons": [{"table": "scores.csv", "rows": 4524, "equal": 4523, "within": 1, "differs": 0}],
                "compared_on": "Linux m68k", "compared_with": {"python": "9.9", "numpy": "8.8"}}
    part = facts.fill_in(root / "book/chapters/_verification.md", {"study": {
        "verification": compared, "training": made["study"]["training"] if training else None}})
    assert "| scores.csv | 4,524 | 4,523 | 1 | 0 |" in part and "compared on Linux m68k with python 9.9, numpy 8.8." in part
    assert ("models trained on" in part) == training and ("Nothing was trained here" in part) != training
    assert '{% include "_verification.md" %}' in (root / "book/chapters" / page).read_text()


def rows_of(page: str) -> list[list[str]]:
    """The cells of each row of a page's tables, as a reader sees them."""
    from html import unescape

    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html_of(page), re.S)
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)] for row in rows]


def test_every_dependency_stands_with_version_and_licence(values, root):
    """Those that pip-licenses listed, none without a word on its licence, and each as it is pinned."""
    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    made, folder = values
    shown = {name: (version, licence) for name, version, licence in filter(None, rows_of(facts.fill_in(folder / "dependencies.md", made)))}
    with open(folder / "_static/dependencies.csv", encoding="utf-8", newline="") as file:
        listed = {row["Name"]: row for row in csv.DictReader(file)}
    assert len(shown) > 200 and set(shown) == set(listed)
    pins = dict(line.split("==") for line in (root / "constraints.txt").read_text().splitlines() if "==" in line and line[0] != "#")
    pinned = {plain(name): version.split(";")[0].strip() for name, version in pins.items()}
    for name, (version, licence) in shown.items():
        assert version == listed[name]["Version"] and version.partition("+")[0] == pinned[plain(name)].partition("+")[0], name
        assert licence and len(licence) < 200 and licence != "UNKNOWN", name
        assert licence == listed[name]["License"] or licence == "none declared" or len(listed[name]["License"]) > 200, name
    assert shown["numpy"][1].startswith("BSD") and "Apache" in shown["aiohttp"][1]


def test_every_licence_of_the_icons_stands_in_the_data_card(values, root):
    made, folder = values
    card = json.loads((root / "results/cpu/data_card.json").read_text())
    counted, left = card["pool"]["pairs_by_license"], card["left_out_icons"]
    rows = [row for row in rows_of(facts.fill_in(folder / "study.md", made)) if len(row) == 2]
    assert len(counted) > 5
    for name, count in [*counted.items(), *((reason, count) for reason, count in left.items() if count)]:
        assert [name, f"{count:,}"] in [[cell.replace("\u00a0", " ") for cell in row] for row in rows], name
    assert "licence forbids commercial use" in left and sum(counted.values()) == sum(card["pool"]["pairs_by_family"].values())

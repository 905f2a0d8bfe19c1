"""A book of one made study, built offline with warnings as errors and opened in a browser without network."""

import re
from pathlib import Path
from urllib.parse import unquote

import made_study
import pytest
from browser import CHROMIUM, visit

from clip_scaling.cli import main

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def project(tmp_path_factory, root):
    """The made study's figures and book, built once for this file."""
    place = made_study.write(tmp_path_factory.mktemp("book"), root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIP_SCALING_ROOT", str(place))
        patch.chdir(place)
        notebooks = ["--notebook", "zero_shot", "--notebook", "playground"]
        assert main(["figure", "--study", "made", *notebooks]) == 0
        assert main(["book", "--study", "made"]) == 0
    return place


@pytest.fixture(scope="module")
def html(project) -> Path:
    return project / "book" / "_build" / "html"


@pytest.fixture(scope="module")
def names(html) -> list[str]:
    return sorted(str(page.relative_to(html)) for page in html.rglob("*.html") if "_static" not in page.parts)


@needs_chromium
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_pages_ask_for_nothing_and_draw_their_charts(html, names, width, theme):
    pages = visit(html, names, width=width, theme=theme)
    assert not {page.name: page.requests for page in pages if page.requests}
    assert not {page.name: page.errors for page in pages if page.errors}
    assert not {page.name: page.not_drawn for page in pages if page.not_drawn}
    assert not {page.name: page.cut for page in pages if page.cut}
    assert sum(page.drawn for page in pages) >= 2
    assert {page.name for page in pages if page.width > width} == set()


@needs_chromium
def test_no_serious_fault_of_accessibility(html):
    pages = visit(html, ["index.html", "made/zero_shot.html", "made/playground.html", "glossary.html"], axe=True)
    assert not {page.name: page.faults for page in pages if page.faults}


@needs_chromium
def test_the_reader_chooses_and_the_law_follows(html):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        page.goto((html / "made" / "playground.html").as_uri())
        page.wait_for_selector(".cs-figure[data-drawn=yes]")  # until then it may be drawn again, narrower
        law = page.locator(".cs-chart svg text", has_text="icons: E =")
        law.wait_for()
        assert f"C^−{abs(made_study.ALPHA):.3f}" in law.text_content()
        whole = law.text_content()
        page.get_by_label("binned front").check()
        page.wait_for_function(
            "text => ![...document.querySelectorAll('.cs-chart svg text')].some(" "one => one.textContent === text)",
            arg=whole,
        )
        page.locator("select").nth(1).select_option("pictorial")
        page.wait_for_function(
            "() => ![...document.querySelectorAll('.cs-chart svg text')].some("
            "one => one.textContent.startsWith('icons: E'))"
        )
        browser.close()


@needs_chromium
def test_search_finds_a_word_without_network(html):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        page.goto((html / "search.html").as_uri() + "?q=glossary")
        page.locator("#search-results li a", has_text="Glossary").first.wait_for()
        browser.close()


def test_links_inside_the_book_lead_somewhere(html, names):
    broken = []
    for name in names:
        page = (html / name).read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="([^"#?]+)', page):
            if not re.match(r"[a-z]+:|//", link) and not ((html / name).parent / unquote(link)).exists():
                broken.append((name, link))
    assert not broken


def test_no_page_loads_from_elsewhere(html, names):
    for name in names:
        page = (html / name).read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="https?://[^"]+"', page), name


def test_numbers_in_prose_come_from_the_tables(html):
    assert f"{len(made_study.runs())} models" in (html / "index.html").read_text(encoding="utf-8")


def test_a_page_says_in_its_title_whose_study_it_is(html):
    page = (html / "made" / "zero_shot.html").read_text(encoding="utf-8")
    assert re.search(r"<title>Zero-shot classification \(made study\)", page)
    assert "In the paper" not in page  # only the published study shows the paper's figures


def test_launch_links_come_with_a_repository_and_only_then(project, html):
    from clip_scaling.book.assemble import _launch

    assert "mybinder" not in (html / "made" / "zero_shot.html").read_text(encoding="utf-8")
    link = _launch("https://github.com/someone/some-repo", "zero_shot")
    assert "mybinder.org/v2/gh/someone/some-repo" in link and "notebooks/zero_shot.ipynb" in link


def test_a_number_that_no_table_has_is_a_sentence(tmp_path):
    from clip_scaling.book.facts import fill_in
    from clip_scaling.core.errors import UserError

    (tmp_path / "chapter.md").write_text("There are {{ study.moons }} moons.", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be filled in.*moons"):
        fill_in(tmp_path / "chapter.md", {"study": {}})


def test_a_warning_is_an_error_and_the_old_pages_stay(project, html, monkeypatch, clip_scaling):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(project))
    chapter = project / "book" / "chapters" / "glossary.md"
    chapter.write_text(chapter.read_text(encoding="utf-8") + "\n[gone](no_such_page.md)\n", encoding="utf-8")
    said = clip_scaling("book", "--study", "made")
    assert said.code == 2 and "no_such_page" in said.err and "Traceback" not in said.err
    assert (html / "index.html").is_file()


def test_a_study_without_figures_is_a_sentence(project, monkeypatch, clip_scaling):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(project / "nowhere"))
    said = clip_scaling("book")
    assert said.code == 2 and "no executed notebooks" in said.err and said.err.count("\n") == 1


def test_pdf_without_latex_is_a_sentence(project, monkeypatch, clip_scaling):
    from clip_scaling.book import command

    monkeypatch.setenv("CLIP_SCALING_ROOT", str(project))
    monkeypatch.setattr(command, "_sphinx", lambda *words: project)
    monkeypatch.setattr("shutil.which", lambda name: None)
    said = clip_scaling("book", "--study", "made", "--pdf")
    assert said.code == 2 and "the PDF needs xelatex" in said.err and said.err.count("\n") == 1

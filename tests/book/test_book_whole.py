"""The whole book from the committed tables: every page opened in a browser without network."""

import pytest
from browser import CHROMIUM, visit

from clip_scaling.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
LIMIT = 25 * 2**20  # bytes


@pytest.fixture(scope="module")
def html(tmp_path_factory, root):
    """Figures and book of every study with tables, made anew in a folder of their own."""
    place = tmp_path_factory.mktemp("whole")
    for name in ("data", "results", "notebooks", "studies", "params.yaml", "dvc.yaml"):
        (place / name).symlink_to(root / name)
    (place / "book").mkdir()
    (place / "book" / "chapters").symlink_to(root / "book" / "chapters")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIP_SCALING_ROOT", str(place))
        patch.chdir(place)
        assert main(["figure", "--all"]) == 0
        assert main(["book"]) == 0
    return place / "book" / "_build" / "html"


@pytest.fixture(scope="module")
def names(html):
    return sorted(str(page.relative_to(html)) for page in html.rglob("*.html") if "_static" not in page.parts)


def test_every_page_is_whole_at_both_widths_and_in_both_themes(html, names):
    for width, theme in ((1280, "light"), (390, "dark")):
        pages = visit(html, names, width=width, theme=theme, axe=width == 1280)
        assert not {page.name: page.requests for page in pages if page.requests}
        assert not {page.name: page.errors for page in pages if page.errors}
        assert not {page.name: page.not_drawn for page in pages if page.not_drawn}
        assert not {page.name: page.cut for page in pages if page.cut}
        assert not {page.name: page.faults for page in pages if page.faults}
        assert {page.name for page in pages if page.width > width} == set()


def test_the_book_is_light(html):
    assert sum(file.stat().st_size for file in html.rglob("*") if file.is_file()) <= LIMIT

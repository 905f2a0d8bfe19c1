"""A figure is saved whole and shows its caption, alternative text and downloads."""

import json
import xml.etree.ElementTree as ET

import altair as alt
import pandas as pd
import pytest

from clip_scaling.charts import save


@pytest.fixture
def figure(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    rows = pd.DataFrame({"x": [1, 2], "y": [0.1, 0.2], "run": ["</script>a", "b"]})
    chart = alt.Chart(rows).mark_point().encode(x="x:Q", y="y:Q", tooltip="run:N")
    return save.save_figure(
        chart, "two", "made", caption="Two <points>.", rows=rows, alt_text="Two points.", notebook="nb"
    )


def test_four_files_hold_rows_specification_and_pictures(figure, tmp_path):
    folder = tmp_path / "figures" / "made"
    assert sorted(file.name for file in folder.iterdir()) == ["two.csv", "two.png", "two.svg", "two.vl.json"]
    assert len(pd.read_csv(folder / "two.csv")) == 2
    assert json.loads((folder / "two.vl.json").read_text())["description"] == "Two points."
    assert ET.parse(folder / "two.svg").getroot().tag.endswith("svg")
    assert (folder / "two.png").read_bytes().startswith(b"\x89PNG")


def test_page_has_caption_alternative_picture_and_downloads(figure):
    page = save.figure_html(figure)
    assert "Two &lt;points&gt;." in page and 'aria-label="Two points."' in page
    assert '<noscript><img src="two.svg" alt="Two points."></noscript>' in page
    assert all(f'href="{name}"' in page for name in ("two.csv", "two.vl.json", "two.svg", "nb.ipynb"))


def test_data_cannot_end_the_script_that_holds_them(figure):
    assert save.figure_html(figure).count("</script>") == 1


def test_outside_the_book_a_figure_brings_its_own_scripts(figure, monkeypatch):
    monkeypatch.delenv(save.IN_BOOK, raising=False)
    page = figure._repr_html_()
    assert "vegaEmbed" in page and "title=" in page and "Two &lt;points&gt;." in page
    monkeypatch.setenv(save.IN_BOOK, "1")
    assert figure._repr_html_() == save.figure_html(figure)

"""What notebooks put out as HTML, as LaTeX prints it."""

import shutil
import subprocess

import nbformat
import pandas as pd
import pytest

from clip_scaling.book import latex
from clip_scaling.charts.html_table import table
from clip_scaling.charts.save import Figure, figure_html


def notebook_of(*pages: str) -> nbformat.NotebookNode:
    data = [nbformat.v4.new_output("display_data", {"text/html": page, "text/plain": "x"}) for page in pages]
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("draw()", outputs=data)]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize("text", ["50 % & more_than {this} #1 \\input{/etc/passwd} ~^$", "E = β C^α, 2 × 10²"])
def test_text_is_printed_not_obeyed(text):
    made = latex.escape(text)
    for letter in "&%$#_":
        assert made.count(letter) == made.count(f"\\{letter}") == text.count(letter)
    assert "\\input" not in made


def test_figures_captions_and_tables_arrive():
    shown = figure_html(Figure("zero_shot", "cpu", "Error, 95 % intervals.", "a chart", {"mark": "point"}, "zero_shot"))
    rows = pd.DataFrame({"set": ["icons_a", "b & c"], "error": [12.5, float("nan")]})
    notebook = notebook_of(shown, table(rows, "Laws <b>", download="laws.csv").content)
    assert latex.translate(notebook, "cpu") == ["zero_shot"]
    cell = notebook.cells[1]
    assert cell.cell_type == "markdown" and cell.source.startswith("```{raw} latex")
    for wanted in ("{cpu-zero_shot.pdf}", r"95 \% intervals", "Laws <b>", r"icons\_a", r"b \& c", "12.5"):
        assert wanted in cell.source
    for unwanted in ("Download", "rows (CSV)", '"mark"', "<td"):
        assert unwanted not in cell.source


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("xelatex") or not shutil.which("latexmk"), reason="LaTeX is not installed")
def test_the_whole_book_becomes_a_pdf(root, clip_scaling, tmp_path, monkeypatch):
    from workspace import copy_project

    folder = copy_project(root, tmp_path)
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(folder))
    assert clip_scaling("figure", "--study", "published").code == 0
    assert clip_scaling("book", "--pdf").code == 0
    made = folder / "book" / "_build" / "clip-scaling-laws.pdf"
    assert made.read_bytes()[:5] == b"%PDF-" and not (folder / "book" / "_generated_latex").exists()
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", made, "-"], capture_output=True, text=True, check=True).stdout
        assert "Zero-shot classification error against total compute" in text and "??" not in text

"""The book's sources for LaTeX: what notebooks put out as HTML becomes figures and tables of the PDF."""

import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import yaml

_SPECIAL = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
            **{letter: f"\\{letter}" for letter in "&%$#_"}}
_SKIPPED = ("script", "style", "noscript", "select", "button", "svg")


def assemble(source: Path, target: Path) -> None:
    """Copy the assembled book `source` to `target`, with LaTeX for the HTML of outputs and pictures as PDF."""
    import vl_convert

    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    pictures = target / "_pictures"
    pictures.mkdir()
    for path in sorted(target.glob("*/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for name in translate(notebook, path.parent.name):
            drawn = source / "_extra" / path.parent.name / f"{name}.svg"
            picture = vl_convert.svg_to_pdf(drawn.read_text(encoding="utf-8"))
            (pictures / f"{path.parent.name}-{name}.pdf").write_bytes(picture)
        nbformat.write(notebook, path)
    config = yaml.safe_load((target / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["latex_additional_files"] = sorted(str(path) for path in pictures.iterdir())
    (target / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def translate(notebook: nbformat.NotebookNode, study: str) -> list[str]:
    """Put raw LaTeX in the place of each cell with output in HTML; returns the names of the figures they show."""
    names = []
    for place, cell in enumerate(notebook.cells):
        pages = [output["data"]["text/html"] for output in cell.get("outputs", []) if "text/html" in output.get("data", {})]
        if pages:
            reader = _Reader(study)
            reader.feed("\n".join(pages))
            raw = "\n\n".join(reader.parts)
            notebook.cells[place] = nbformat.v4.new_markdown_cell(f"```{{raw}} latex\n{raw}\n```", id=cell.id)
            names += reader.figures
    return names


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


class _Reader(HTMLParser):
    """Reads the figures, captions, paragraphs and tables that charts.save and charts.html_table write."""

    def __init__(self, study: str) -> None:
        super().__init__()
        self.study, self.parts, self.figures = study, [], []
        self._text, self._rows, self._skipping, self._figure = [], None, [], None

    def handle_starttag(self, tag: str, attributes: list) -> None:
        """Begin a figure, table or text; leave out what is for a screen alone, downloads among it."""
        given = dict(attributes)
        if self._skipping or tag in _SKIPPED or given.get("class") == "cs-downloads" or "download" in given:
            if tag not in ("img", "br", "hr", "input"):  # these have no end
                self._skipping.append(tag)
        elif tag == "div" and "data-name" in given:
            self._figure = given["data-name"]
        elif tag == "table":
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("p", "figcaption", "th", "td"):
            self._text = []
        elif tag == "br":
            self._text.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Write what a figure, paragraph, cell or table held."""
        if self._skipping:
            if tag == self._skipping[-1]:
                self._skipping.pop()
            return
        text = escape("".join(self._text))
        if tag in ("th", "td") and self._rows:
            self._rows[-1].append(text)
        elif tag == "figcaption" and self._figure:
            self.figures.append(self._figure)
            self.parts.append(rf"\begin{{figure}}[H]\centering\includegraphics[width=\linewidth,height=0.8\textheight,"
                              rf"keepaspectratio]{{{self.study}-{self._figure}.pdf}}\caption*{{{text}}}\end{{figure}}")
        elif tag == "p" and text:
            self.parts.append(rf"\noindent {{\small {text}}}\par")
        elif tag == "table" and self._rows:
            self.parts.append(_longtable([row for row in self._rows if row]))
            self._rows = None
        else:
            return
        self._text = []


def _longtable(rows: list[list[str]]) -> str:
    """The first row heads each page; columns share the line as their longest words and mean lengths ask for."""
    count = max(len(row) for row in rows)
    rows = [row + [""] * (count - len(row)) for row in rows]
    asked = [max(4.0, max((len(word) for cell in column for word in cell.split()), default=0),
                 sum(map(len, column)) / len(column)) for column in zip(*rows)]
    shares = [0.98 * one / sum(asked) for one in asked]
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{\dimexpr {share:.4f}\linewidth-2\tabcolsep}}" for share in shares)
    head, *body = [" & ".join(row) + r" \\" for row in rows]
    size = r"\tiny" if count > 6 else r"\scriptsize"
    lines = [rf"\begin{{longtable}}{{{columns}}}", r"\toprule", head, r"\midrule\endhead", *body, r"\bottomrule",
             r"\end{longtable}"]
    return "\n".join(["{" + size + r"\setlength{\tabcolsep}{2pt}", *lines, "}"])

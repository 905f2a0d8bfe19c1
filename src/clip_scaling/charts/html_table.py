"""Tables as HTML that a narrow page can scroll, with a caption and the CSV to download."""

import html
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class HtmlTable:
    """A table for a page: a notebook that ends a cell with it shows it."""

    content: str

    def _repr_html_(self) -> str:
        return self.content

    def __add__(self, other: "HtmlTable") -> "HtmlTable":
        return HtmlTable(self.content + "\n" + other.content)


def table(
    rows: pd.DataFrame,
    caption: str,
    *,
    download: str | None = None,
    titles: dict[str, str] | None = None,
    numeric: tuple[str, ...] = (),
) -> HtmlTable:
    """`rows` as they are, an empty cell for NaN. Columns of numbers, and those named `numeric`, stand to the right;
    `titles` name columns for readers."""
    titles = titles or {}
    right = {name: name in numeric or pd.api.types.is_numeric_dtype(rows[name]) for name in rows.columns}
    head = "".join(
        f'<th scope="col"{_kind(right[name])}>{html.escape(str(titles.get(name, name)))}</th>' for name in rows
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{_kind(right[name], value)}>{_cell(value)}</td>" for name, value in zip(rows, row, strict=True))
        + "</tr>\n"
        for row in rows.itertuples(index=False)
    )
    link = f' <a href="{html.escape(download)}" download>rows (CSV)</a>' if download else ""
    return HtmlTable(
        # Beside the table, not in it: a caption as wide as a table that scrolls would leave the page.
        f'<p class="cs-caption">{html.escape(caption)}{link}</p>\n'
        f'<div class="cs-scroll" tabindex="0" role="region" aria-label="{html.escape(caption, quote=True)}"><table>'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>"
    )


def _kind(numeric: bool, value: object = "") -> str:
    """Long text gets room, and short text one line; the table scrolls sideways instead."""
    if numeric:
        return ' class="num"'
    size = len(str(value))
    return ' class="long"' if size > 40 else ' class="short"' if 8 < size <= 20 else ""


def _cell(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return html.escape(str(value))


def compared(cells: pd.DataFrame, caption: str, download: str | None = None) -> HtmlTable:
    """A table of the paper beside what was recomputed.

    `cells`: row, column, paper, recomputed, within_rounding, in the printed order. A recomputed cell that is within
    the printed rounding shows the paper's number alone; another shows both.
    """
    rows, columns = list(dict.fromkeys(cells["row"])), list(dict.fromkeys(cells["column"]))
    place = {(cell.row, cell.column): cell for cell in cells.itertuples()}
    wide = pd.DataFrame(
        [[row, *(_both(place.get((row, column))) for column in columns)] for row in rows], columns=["row", *columns]
    )
    return table(wide, caption, download=download, titles={"row": ""})


def _both(cell) -> str:
    if cell is None:
        return ""
    paper = "" if cell.paper != cell.paper else str(cell.paper)
    if cell.within_rounding == "no":
        return f"{paper} ≠ {cell.recomputed}"
    return paper

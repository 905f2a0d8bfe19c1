"""Tables as HTML with a caption and the CSV to download; on a narrow page a wide table becomes a list of its rows."""

import html
from dataclasses import dataclass

import pandas as pd

from ..core.wording import fixed, number

_PHONE, _GAP = 40, 2  # characters that a phone's page has room for, and that part two columns
_SHORT = 30  # characters of a row's name that stand on one line


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
    below: tuple[str, ...] = (),
) -> HtmlTable:
    """`rows` as they are, an empty cell for NaN; the first column heads each row.

    Columns of numbers, and those named `numeric`, stand to the right; `titles` name columns for readers. Columns named
    `below` stand in small type under the first. A newline in a cell begins a new line.
    """
    titles = titles or {}
    names = [name for name in rows.columns if name not in below]
    right = {name: name in numeric or pd.api.types.is_numeric_dtype(rows[name]) for name in names}
    texts = {name: _texts(rows[name]) for name in rows.columns}
    labels = {name: str(titles.get(name, name)) for name in rows.columns}
    head = "".join(
        f'<th scope="col" role="columnheader"{_kind(right[name])}>{html.escape(labels[name])}</th>' for name in names
    )
    body = "".join(
        '<tr role="row">'
        + _head_cell(texts[names[0]][at], [texts[name][at] for name in below])
        + "".join(_cell(texts[name][at], right[name], labels[name]) for name in names[1:])
        + "</tr>\n"
        for at in range(len(rows))
    )
    link = f' <a href="{html.escape(download)}" download>rows (CSV)</a>' if download else ""
    wide = " cs-wide" if _width({name: [labels[name], *texts[name]] for name in names}) > _PHONE else ""
    return HtmlTable(
        # Beside the table, not in it: a caption as wide as a table that scrolls would leave the page.
        f'<p class="cs-caption">{html.escape(caption)}{link}</p>\n'
        f'<div class="cs-scroll{wide}" tabindex="0" role="region" aria-label="{html.escape(caption, quote=True)}">'
        # Roles said outright: a browser forgets those of a table that is laid out as a list.
        f'<table role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _width(columns: dict[str, list[str]]) -> int:
    """Characters that the table needs when long texts are broken between words."""
    first, *others = columns.values()
    narrowest = [max(map(len, first)), *(max(map(_narrowest, texts)) for texts in others)]
    return sum(min(size, _SHORT) + _GAP for size in narrowest)


def _narrowest(text: str) -> int:
    return max(len(line) if len(line) <= 12 else max(12, *map(len, line.split())) for line in text.split("\n"))


def _kind(numeric: bool) -> str:
    return ' class="num"' if numeric else ""


def _head_cell(text: str, below: list[str]) -> str:
    notes = "".join(f'<span class="cs-note">{_lines(note)}</span>' for note in below if note)
    short = ' class="short"' if len(text) <= _SHORT else ""
    return f'<th scope="row" role="rowheader"{short}>{_lines(text)}{notes}</th>'


def _cell(text: str, numeric: bool, label: str) -> str:
    return f'<td role="cell"{_kind(numeric)} data-label="{html.escape(label, quote=True)}">{_lines(text)}</td>'


def _lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>").replace(" %", "\u00a0%")


def _texts(values: pd.Series) -> list[str]:
    """The cells as text; the floats of one column with as many decimals each, where these do for all of them."""
    floats = [value for value in values if isinstance(value, float) and value == value]
    decimals = next((few for few in range(5) if all(abs(round(one, few) - one) < 1e-9 for one in floats)), None)
    return [_text(value, decimals) for value in values]


def _text(value: object, decimals: int | None) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float):
        return number(value) if decimals is None or abs(value) >= 1e8 else fixed(value, decimals)
    return str(value)


def compared(cells: pd.DataFrame, caption: str, download: str | None = None, titles: dict | None = None) -> HtmlTable:
    """A table of the paper beside what was recomputed.

    `cells`: row, column, paper, recomputed, within_rounding, in the printed order. A recomputed cell that is within
    the printed rounding shows the paper's number alone; another shows both.
    """
    rows, columns = list(dict.fromkeys(cells["row"])), list(dict.fromkeys(cells["column"]))
    place = {(cell.row, cell.column): cell for cell in cells.itertuples()}
    wide = pd.DataFrame(
        [[row, *(_both(place.get((row, column))) for column in columns)] for row in rows], columns=["row", *columns]
    )
    return table(wide, caption, download=download, titles={**(titles or {}), "row": ""}, numeric=tuple(columns))


def _both(cell) -> str:
    if cell is None:
        return ""
    paper = "" if cell.paper != cell.paper else str(cell.paper)
    if cell.within_rounding == "no":
        return f"{paper}\n≠ {cell.recomputed}"
    return paper

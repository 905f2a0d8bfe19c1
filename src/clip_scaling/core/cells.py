"""CSV cells as they stand: every row whole, every column named once, nothing guessed, cut or filled in."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import pandas as pd

from .errors import UserError, short, shortlist

MOST_COLUMNS = 10_000
_LARGEST_FILE = 256 << 20  # bytes
_LONGEST_LINE = 4 << 20  # characters: 10,000 columns of 400


def read_cells(path: Path, wanted: Iterable[str] | None = None) -> pd.DataFrame:
    """The table of a CSV as text, all columns or those `wanted`; names are stripped. Raises UserError naming the fault.

    UTF-8 with commas, with or without a byte-order mark; a compressed file is refused like any that is no text.
    """
    path = Path(path)
    if not path.is_file():  # nor a pipe or device, which may never end
        raise UserError("no such file", where=path, mend="name an existing CSV")
    if path.stat().st_size > _LARGEST_FILE:
        raise UserError(f"is larger than {_LARGEST_FILE >> 20} MiB", where=path, mend="keep the columns and rows that are needed")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(_lines(file, path), strict=True)
            names = _header(rows, path)
            kept = list(names) if wanted is None else list(dict.fromkeys(wanted))
            missing = [name for name in kept if name not in names]
            if missing:
                raise UserError(f"has no column {shortlist(missing)}", where=path, mend=f"it has {shortlist(names)}")
            places = [names.index(name) for name in kept]
            columns = zip(*(map(row.__getitem__, places) for row in _rows(rows, len(names), path)))
            return pd.DataFrame(dict(zip(kept, map(list, columns))) or {name: [] for name in kept}, columns=kept, dtype=str)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"is no CSV table ({short(error)})", where=path, mend="save it as UTF-8 CSV with commas") from None


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Lines of bounded length without NUL, the mark of what is no text."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise UserError(f"is no CSV table (line {number} is longer than {_LONGEST_LINE:,} characters)", where=path,
                            mend="save it as UTF-8 CSV with commas and line ends")
        if "\0" in line:
            raise UserError(f"is no CSV table (line {number} holds a NUL)", where=path, mend="save it as UTF-8 CSV with commas")
        yield line


def _header(rows, path: Path) -> list[str]:
    header = next((row for row in rows if row), None)
    if header is None:
        raise UserError("is no CSV table (it is empty)", where=path, mend="save it as UTF-8 CSV with commas")
    names = [" ".join(name.split()) if "\n" in name or "\r" in name else name.strip() for name in header]
    if len(names) == 1 and ";" in names[0]:
        raise UserError("is separated by semicolons", where=path, mend="save it with commas, and points in numbers")
    if len(names) > MOST_COLUMNS:
        raise UserError(f"has {len(names):,} columns", where=path, mend=f"keep those that are needed, {MOST_COLUMNS:,} at most")
    seen: set[str] = set()
    double = [name for name in names if name and (name in seen or seen.add(name))]
    if double:
        raise UserError(f"has column {shortlist(dict.fromkeys(double))} more than once", where=path,
                        mend="rename or drop all but one")
    return names


def _rows(rows, width: int, path: Path) -> Iterator[list[str]]:
    """Data rows; empty lines are skipped. Raises UserError for a row of another length or a cell of several lines."""
    number, line = 0, rows.line_num
    for row in rows:
        if rows.line_num > line + 1:
            raise UserError(f"a quoted cell spans lines {line + 1} to {rows.line_num}", where=path,
                            mend="close the quotation mark, or write the cell in one line")
        line = rows.line_num
        if not row:
            continue
        number += 1
        if len(row) != width:
            raise UserError(f"data row {number} (line {line}) has {len(row)} cells, the header {width}", where=path,
                            mend="quote cells that hold commas; give every row as many cells as the header")
        yield row

"""Each cell of each table of the paper beside the recomputed number."""

import re
from enum import StrEnum
from functools import lru_cache

import pandas as pd

from ..core.errors import UserError
from .data import Published
from .tables import TRANSCRIBED, recompute

COLUMNS = ["table", "row", "column", "paper", "recomputed", "difference", "within_rounding"]
_NUMBER = re.compile(r"([+-]?\d+(?:\.(\d+))?)(?:[eE]([+-]?\d+))?([KMB]?)$")
_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9}
_SLACK = 1 + 1e-6  # a tie such as 0.125 printed as 0.12 or 0.13 is within rounding; floats need a hair more


class Within(StrEnum):
    """Column `within_rounding`."""

    YES = "yes"
    NO = "no"
    TRANSCRIPTION = "transcription only"  # no public number behind the cell


def parse(printed: str) -> tuple[float, float] | None:
    """A printed number and half a unit of its last digit, e.g. '1.37B' -> (1.37e9, 5e6); None for words."""
    match = _NUMBER.match(printed.strip())
    if not match:
        return None
    digits, decimals, power, suffix = match[1], len(match[2] or ""), int(match[3] or 0), match[4]
    scale = 10.0**power * _SCALE[suffix]
    return float(digits) * scale, 0.5 * 10.0**-decimals * scale


def within(printed: str, recomputed: float) -> bool:
    """Whether a number is what is printed, up to rounding. Raises UserError where no number is printed."""
    parsed = parse(printed)
    if parsed is None:
        raise UserError(f"{printed!r} is no number", mend="compare words as words")
    return abs(recomputed - parsed[0]) <= parsed[1] * _SLACK


@lru_cache(maxsize=4)
def check_tables(published: Published) -> pd.DataFrame:
    """COLUMNS, a row a printed cell, all tables. Raises UserError where a recomputed cell has no printed partner."""
    printed = published.printed_tables
    parts = [_check(published, table, printed[printed["table"] == table]) for table in printed["table"].unique()]
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _check(published: Published, table: str, printed: pd.DataFrame) -> pd.DataFrame:
    made = recompute(published, table)
    both = printed.merge(made, on=["row", "column"], how="outer", validate="one_to_one", indicator=True)
    orphan = both[both["_merge"] == "right_only"]
    if len(orphan):
        first = orphan.iloc[0]
        raise UserError(
            f"table {table} has no printed cell {first['row']!r}, {first['column']!r}",
            where=published.folder / "printed_tables.csv",
            mend="name rows and columns as the paper does",
        )
    order = {key: place for place, key in enumerate(zip(printed["row"], printed["column"], strict=True))}
    both = both.sort_values(["row", "column"], key=None).rename(columns={"printed": "paper"})
    both["place"] = [order[key] for key in zip(both["row"], both["column"], strict=True)]
    rows = [_cell(row, table) for row in both.sort_values("place").to_dict("records")]
    return pd.DataFrame(rows, columns=COLUMNS)


def _cell(row: dict, table: str) -> dict:
    cell = {
        "table": table,
        "row": row["row"],
        "column": row["column"],
        "paper": row["paper"],
        "recomputed": float("nan"),
        "difference": float("nan"),
        "within_rounding": Within.TRANSCRIPTION.value,
    }
    if table in TRANSCRIBED or pd.isna(row["recomputed"]):
        return cell
    number = float(row["recomputed"])
    return cell | {
        "recomputed": number,
        "difference": number - parse(row["paper"])[0],
        "within_rounding": (Within.YES if within(row["paper"], number) else Within.NO).value,
    }


def wide(checked: pd.DataFrame, table: str) -> pd.DataFrame:
    """A table as the paper lays it out: `row`, its columns, and `basis`, recomputed or transcription.

    Recomputed cells are rounded as printed; cells with no public number keep what the paper prints.
    """
    cells = checked[checked["table"] == table]
    shown = [
        row["paper"] if pd.isna(row["recomputed"]) else _as_printed(row["recomputed"], row["paper"])
        for row in cells.to_dict("records")
    ]
    grid = cells.assign(shown=shown).pivot(index="row", columns="column", values="shown")
    grid = grid.loc[cells["row"].unique(), cells["column"].unique()].reset_index()
    grid.columns.name = None
    known = cells.groupby("row")["recomputed"].agg(lambda column: column.notna().mean())
    basis = {0.0: "transcription", 1.0: "recomputed"}
    return grid.assign(basis=[basis.get(known[row], "partly recomputed") for row in grid["row"]]).fillna("")


def _as_printed(number: float, printed: str) -> str:
    match = _NUMBER.match(printed.strip())
    decimals, suffix = len(match[2] or ""), match[4]
    if match[3]:
        return f"{number:.{decimals}e}"
    return f"{number / _SCALE[suffix]:.{decimals}f}{suffix}"


def summary(checked: pd.DataFrame) -> pd.DataFrame:
    """Cells per table: table, cells, within (rounding), outside, transcribed."""
    kinds = pd.crosstab(checked["table"], checked["within_rounding"]).reindex(columns=list(Within), fill_value=0)
    kinds = kinds.set_axis(["within", "outside", "transcribed"], axis=1).loc[checked["table"].unique()].reset_index()
    kinds.insert(1, "cells", kinds[["within", "outside", "transcribed"]].sum(axis=1))
    return kinds

"""Kinds of check that claims are declared with. Each returns a function of the tables and the printed text."""

from collections.abc import Callable, Sequence

import numpy as np

from ...core.errors import UserError
from ..data import Published
from ..table_check import check_tables, parse, within
from .model import Check, Outcome, Verdict

Number = Callable[[Published], float]
Target = tuple[str, str, str, str]  # title, task, dataset, metric, as in frames
_Z = 1.959964  # 95 % of a normal distribution


def rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def number(
    what: Number,
    digits: int = 2,
    note: str | Callable[[Published], str] = "",
    elsewhere: tuple[str, str, str] | None = None,
) -> Check:
    """Reproduced where `what` is the printed number within rounding to `digits`; a note may be computed as well.

    `elsewhere`: a printed cell (table, row, column). Where the number is not the claim's but is that cell's, the paper
    contradicts itself: inconsistent. Otherwise the claim fails.
    """

    def check(published: Published, printed: str) -> Outcome:
        value = what(published)
        text, said = rounded(value, digits), note(published) if callable(note) else note
        if abs(value - float(printed)) <= 0.5 * 10.0**-digits * (1 + 1e-6):
            return Outcome(text, Verdict.REPRODUCED, said)
        if elsewhere and within(cell(published, *elsewhere), value):
            place = f"Table {elsewhere[0]} prints {cell(published, *elsewhere)}"
            return Outcome(text, Verdict.INCONSISTENT, "; ".join(filter(None, (place, said))))
        return Outcome(text, Verdict.FAILS, said)

    return check


def numbers(whats: Sequence[Number], digits: int | Sequence[int] = 2, separator: str = "/", note: str = "") -> Check:
    """Reproduced where each number is the printed one, in order, within rounding to `digits`; else the claim fails."""

    def check(published: Published, printed: str) -> Outcome:
        values = [what(published) for what in whats]
        places = [digits] * len(values) if isinstance(digits, int) else list(digits)
        told = [float(part) for part in printed.split(separator)]
        text = separator.join(rounded(value, place) for value, place in zip(values, places, strict=True))
        agree = all(
            abs(value - one) <= 0.5 * 10.0**-place * (1 + 1e-6)
            for value, one, place in zip(values, told, places, strict=True)
        )
        return Outcome(text, Verdict.REPRODUCED if agree else Verdict.FAILS, note)

    return check


def cells(table: str, without: str | None = None) -> Check:
    """Reproduced where every cell of a table is within printed rounding; the claim's number is how many there are."""

    def check(published: Published, printed: str) -> Outcome:
        rows = check_tables(published)
        rows = rows[rows["table"] == table]
        if without:
            rows = rows[~rows["row"].str.contains(without, regex=False)]
        good = int((rows["within_rounding"] == "yes").sum())
        verdict = Verdict.REPRODUCED if good == len(rows) == int(printed) else Verdict.FAILS
        return Outcome(str(good), verdict, f"{good} of {len(rows)} cells within printed rounding")

    return check


def cell(published: Published, table: str, row: str, column: str) -> str:
    """A printed cell. Raises UserError where there is none."""
    rows = published.printed_tables
    found = rows[(rows["table"] == table) & (rows["row"] == row) & (rows["column"] == column)]
    if len(found) != 1:
        raise UserError(
            f"no cell {row!r}, {column!r} in table {table}",
            where=published.folder / "printed_tables.csv",
            mend="name row and column as that file does",
        )
    return found["printed"].item()


def printed_number(published: Published, table: str, row: str, column: str) -> float:
    """A printed cell as a number."""
    parsed = parse(cell(published, table, row, column))
    if parsed is None:
        raise UserError(f"cell {row!r}, {column!r} of table {table} is no number", mend="name another cell")
    return parsed[0]


def score(published: Published, run: str, target: Target) -> float:
    """Score of a run in %. Raises UserError for a run without that score."""
    return 100 * float(_row(published, run, target)["value"])


def _row(published: Published, run: str, target: Target):
    rows = published.points(*target[1:])
    found = rows[rows["run"] == run]
    if len(found) != 1:
        raise UserError(
            f"run {run!r} has no score of {target[0]}", where=published.folder / "scores.csv", mend="name a run"
        )
    return found.iloc[0]


def difference(published: Published, first: str, second: str, target: Target) -> tuple[float, float]:
    """Gain in pp from the first run to the second and half its 95 % binomial interval, models taken as independent."""
    rows = [_row(published, run, target) for run in (first, second)]
    half = _Z * np.hypot(*(row["standard_error"] for row in rows))
    return 100 * float(rows[1]["value"] - rows[0]["value"]), 100 * float(half)


_BINOMIAL = (
    "95 % binomial interval; variation between trainings (0.39 pp between the two trials of Table 14) not included"
)


def _gain_text(value: float, half: float) -> str:
    return f"{value:+.2f} [{value - half:+.2f}, {value + half:+.2f}]"


def gain(first: str, second: str, target: Target) -> Check:
    """The second run is better: holds where the interval lies above 0, weak where it contains 0, fails below."""

    def check(published: Published, printed: str) -> Outcome:
        value, half = difference(published, first, second, target)
        verdict = Verdict.FAILS if value <= 0 else Verdict.HOLDS if value - half > 0 else Verdict.WEAK
        return Outcome(_gain_text(value, half), verdict, _BINOMIAL)

    return check


def no_gain(first: str, second: str, target: Target, note: str = "") -> Check:
    """The second run is no better: holds where the interval lies at or below 0, fails where above, else weak."""

    def check(published: Published, printed: str) -> Outcome:
        value, half = difference(published, first, second, target)
        verdict = Verdict.HOLDS if value + half <= 0 else Verdict.FAILS if value - half > 0 else Verdict.WEAK
        return Outcome(_gain_text(value, half), verdict, "; ".join(filter(None, (note, _BINOMIAL))))

    return check


def little_gain(first: str, second: str, target: Target, clear: tuple[str, str, Target]) -> Check:
    """The gain is about nothing: holds where its interval excludes the gain that the paper calls clear (another pair).

    Weak where the gain is smaller than the clear one and the interval does not exclude it; else the claim fails.
    """

    def check(published: Published, printed: str) -> Outcome:
        value, half = difference(published, first, second, target)
        reference, _ = difference(published, *clear)
        verdict = Verdict.HOLDS if value + half < reference else Verdict.WEAK if value < reference else Verdict.FAILS
        return Outcome(_gain_text(value, half), verdict, f"called clear elsewhere: {reference:+.2f} pp; {_BINOMIAL}")

    return check


def unchecked(note: str, told: Callable[[Published], str] | None = None) -> Check:
    """No public data; `told` may give what follows from the paper's own printed numbers."""

    def check(published: Published, printed: str) -> Outcome:
        return Outcome(told(published) if told else "", Verdict.NOT_CHECKABLE, note)

    return check

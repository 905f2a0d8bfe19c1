"""A claim, its verdict and the outcome of its check."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ..data import Published


class Verdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"  # equal within printed rounding
    HOLDS = "holds"  # same sign or order, and the interval excludes the opposite
    WEAK = "weak"  # same sign or order, the interval does not exclude the opposite
    FAILS = "fails"  # the opposite
    INCONSISTENT = "inconsistent"  # the paper contradicts itself
    NOT_CHECKABLE = "not checkable"  # no public data


@dataclass(frozen=True)
class Outcome:
    """What a check found: the recomputed number or numbers as text, the verdict and a note for readers."""

    recomputed: str
    verdict: Verdict
    note: str = ""


Check = Callable[[Published, str], Outcome]  # of the tables and of what the paper prints


@dataclass(frozen=True)
class Claim:
    """A check under the claim's id, with the verdict that it must come to."""

    id: int
    check: Check
    expected: Verdict


def claim(number: int, check: Check, expected: Verdict = Verdict.REPRODUCED) -> Claim:
    """Declare a claim; most are expected to be reproduced."""
    return Claim(number, check, expected)

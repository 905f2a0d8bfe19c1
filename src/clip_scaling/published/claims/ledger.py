"""All claims judged against the published tables."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from ...core.errors import UserError
from ..data import Published
from . import controls, fits, scores
from .model import Claim, Verdict

COLUMNS = ["id", "where", "claim", "paper", "recomputed", "verdict", "note"]


@dataclass(frozen=True)
class Judged:
    """The ledger (COLUMNS), how often each verdict came out, and the claims whose verdict was not the declared one."""

    frame: pd.DataFrame
    counts: dict[str, int]
    unexpected: tuple[str, ...]

    def raise_if_unexpected(self) -> None:
        """Raise UserError that names each claim whose verdict changed."""
        if self.unexpected:
            raise UserError(
                f"{len(self.unexpected)} verdicts are not the declared ones: {'; '.join(self.unexpected)}",
                mend="mend the data, or declare the new verdict beside the claim's check",
            )


def all_claims() -> list[Claim]:
    """Every declared claim, by id."""
    return sorted([*fits.CLAIMS, *scores.CLAIMS, *controls.CLAIMS], key=lambda one: one.id)


def judge(published: Published, claims: list[Claim] | None = None) -> Judged:
    """Check each claim. Raises UserError unless data/published/claims.csv has a row for each check and the reverse."""
    claims = all_claims() if claims is None else claims
    told = published.claims.set_index("id")
    _same_ids(published, [one.id for one in claims], told.index.tolist())
    rows, unexpected = [], []
    for one in claims:
        printed = told.loc[one.id]
        outcome = one.check(published, printed["paper"])
        rows.append(
            (
                one.id,
                printed["where"],
                printed["claim"],
                printed["paper"],
                outcome.recomputed,
                str(outcome.verdict),
                outcome.note,
            )
        )
        if outcome.verdict != one.expected:
            unexpected.append(
                f"claim {one.id} is {outcome.verdict} ({outcome.recomputed or 'nothing'} against "
                f"{printed['paper']}), declared {one.expected}"
            )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    found = Counter(frame["verdict"])
    return Judged(frame, {str(verdict): found[verdict] for verdict in Verdict if found[verdict]}, tuple(unexpected))


def _same_ids(published: Published, checked: list[int], told: list[int]) -> None:
    twice = [identity for identity, count in Counter(checked).items() if count > 1]
    if twice:
        raise UserError(f"claim {twice[0]} is checked twice", mend="give each check an id of its own")
    for missing, what in ((set(told) - set(checked), "has no check"), (set(checked) - set(told), "has no row")):
        if missing:
            raise UserError(
                f"claim {min(missing)} {what}",
                where=published.folder / "claims.csv",
                mend="each claim needs a row there and a check in published/claims",
            )

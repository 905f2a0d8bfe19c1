"""Which pairs of the pool go into which shard."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import UserError
from ..core.study import SubsetEntry
from .at_scale import hash_of

WHOLE = "icons"  # the family that is the whole pool; the others are the values of its column `family`


@dataclass(frozen=True)
class Plan:
    """A family's shards: `rows` of the pool in order of their hash, cut at `ends` (the last row of each shard, plus 1)."""

    family: str
    rows: tuple[int, ...]
    ends: tuple[int, ...]

    def shards_of(self, samples: int) -> int:
        """How many of the shards, from the first, hold exactly `samples` pairs."""
        return self.ends.index(samples) + 1


def plan(
    entries: Sequence[SubsetEntry], keys: Sequence[str], families: Sequence[str], *, shard_samples: int, seed: int
) -> list[Plan]:
    """A plan for each family that `entries` name. Shards end where a subset ends, so that small ones are prefixes.

    A pair's place is the hash of its key and the seed: pairs added to or taken from the pool move no other.
    Raises UserError for an unknown family or a subset larger than its family.
    """
    known = [WHOLE, *sorted(set(families))]
    order = sorted(range(len(keys)), key=lambda row: (hash_of(keys[row], seed), keys[row]))
    plans = []
    for family in dict.fromkeys(entry.family for entry in entries):
        if family not in known:
            raise UserError(f"unknown family {family!r}", where="subset.subsets", mend=f"known: {', '.join(known)}")
        rows = [row for row in order if family in (WHOLE, families[row])]
        sizes = sorted({entry.samples for entry in entries if entry.family == family})
        if sizes[-1] > len(rows):
            name = next(entry.name for entry in entries if entry.family == family and entry.samples == sizes[-1])
            raise UserError(
                f"subset {name} asks for {sizes[-1]:,} pairs, {family} holds {len(rows):,}",
                where="subset.subsets", mend=f"ask for {len(rows)} or fewer",
            )
        ends = [*range(shard_samples, sizes[-1], shard_samples), *sizes]
        plans.append(Plan(family, tuple(rows[: sizes[-1]]), tuple(sorted(set(ends)))))
    return plans

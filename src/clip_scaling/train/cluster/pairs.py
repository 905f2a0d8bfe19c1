"""What became of the pairs that open_clip_train read: what it cannot use it passes over, with a line in a log at most.

A rank's loader processes are forked from it and count into its memory. Each rank writes its counts down once an epoch,
so that an epoch that a kill cut short, and that was trained again, counts once.
"""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from ...core.json_files import BrokenJSON, parse_json, read_json
from .attempts import append_line


class Count(StrEnum):
    """What is counted. A pair that is read more than once counts as often."""

    READ = "read"
    NO_CAPTION = "no caption"
    NO_IMAGE = "no image"
    CAPTION_ENCODING = "caption is no UTF-8"
    UNDECODED = "image cannot be decoded"
    MISSING = "not in its shard, or behind where that breaks off"
    SHARD_CUT_SHORT = "shard breaks off, and its manifest does not say how many pairs it holds"


LOST = (Count.NO_CAPTION, Count.NO_IMAGE, Count.CAPTION_ENCODING, Count.UNDECODED, Count.MISSING)


class Tally:
    """Counts of a rank and of the processes forked from it."""

    def __init__(self):
        self._counts = multiprocessing.Array("q", len(Count))

    def add(self, what: Count, number: int = 1) -> None:
        with self._counts.get_lock():
            self._counts[list(Count).index(what)] += number

    def take(self) -> dict[Count, int]:
        """What was counted since the last call."""
        with self._counts.get_lock():
            found = dict(zip(Count, self._counts, strict=True))
            self._counts[:] = [0] * len(Count)
        return found


def count_pairs(data, tally: Tally, stated: dict[str, int | None], drawn: Callable[[dict], bool]) -> None:
    """Make the module `open_clip_train.data` count what it reads and passes over.

    `stated`: pairs that each shard holds by the manifest, None where it does not say. A tar whose reader stops in the
    middle, as Python's does without a word at a broken header, lacks the pairs behind. `drawn`: whether a pair is of the
    subset; no other one is missed.
    """
    read, log, whole = data.tarfile_to_samples_nothrow, data.log_and_continue, data.filter_no_caption_or_no_image

    def samples(source):
        for shard in source:
            keys, errors = set(), []
            for sample in read([shard], handler=lambda error: errors.append(True) or log(error)):  # noqa: B023
                if drawn(sample):
                    keys.add(sample["__key__"])
                    tally.add(Count.READ)
                    if not whole(sample):
                        tally.add(Count.NO_IMAGE if "txt" in sample else Count.NO_CAPTION)
                yield sample
            pairs = stated.get(shard["url"])
            if pairs is not None:
                tally.add(Count.MISSING, max(0, pairs - len(keys)))
            elif errors:
                tally.add(Count.SHARD_CUT_SHORT)

    def undecoded(error: Exception) -> bool:
        tally.add(Count.CAPTION_ENCODING if isinstance(error, UnicodeError) else Count.UNDECODED)
        return log(error)

    data.tarfile_to_samples_nothrow, data.log_and_continue = samples, undecoded


def note_epochs(trainer, tally: Tally, folder: Path) -> None:
    """Make the module `open_clip_train.main` append this rank's counts of each epoch to `folder`/<rank>.jsonl."""
    train, path = trainer.train_one_epoch, folder / f"{os.environ.get('RANK', 0)}.jsonl"

    def counted(model, data, loss, epoch, *rest, **options):
        tally.take()
        train(model, data, loss, epoch, *rest, **options)
        append_line(path, {"epoch": epoch, "pairs": tally.take()})

    trainer.train_one_epoch = counted


@dataclass(frozen=True)
class Account:
    """What a run read and lost: pairs `read`, pairs `passed_over` by reason, as often as they were.

    `shards_cut_short`: how often a shard broke off with an unknown number of pairs. `epochs_not_counted`: epochs of a
    rank without counts. `shards_checked` of `shards` had the SHA-256 that the manifest states; the others are remote, or
    it states none.
    """

    read: int
    passed_over: dict[str, int]
    shards_cut_short: int
    epochs_not_counted: int
    shards: int
    shards_checked: int

    @property
    def lost(self) -> int:
        return sum(self.passed_over.values())

    def as_json(self) -> dict:
        return asdict(self)

    def __str__(self) -> str:
        reasons = "; ".join(f"{number:,} x {reason}" for reason, number in self.passed_over.items())
        said = [f"{self.read:,} pairs read, {f'{self.lost:,} passed over ({reasons})' if self.lost else 'none passed over'}"]
        if self.shards_cut_short:
            said.append(f"shards of unknown length broke off {self.shards_cut_short:,} times")
        if self.epochs_not_counted:
            said.append(f"{self.epochs_not_counted:,} epochs of a process not counted")
        if self.shards_checked < self.shards:
            said.append(f"{self.shards - self.shards_checked:,} of {self.shards:,} shards not checked by SHA-256")
        return ", ".join(said)


def account(folder: Path, *, ranks: int, epochs: int, shards: int, shards_checked: int) -> Account:
    """Sum what the ranks of a finished run wrote down; of an epoch that was trained twice, the later time counts."""
    total, uncounted = Counter(), 0
    for rank in range(ranks):
        noted = _noted(folder / f"{rank}.jsonl")
        for epoch in range(epochs):
            total.update(noted.get(epoch, {}))
            uncounted += epoch not in noted
    return Account(total[Count.READ], {str(reason): total[reason] for reason in LOST if total[reason]},
                   total[Count.SHARD_CUT_SHORT], uncounted, shards, shards_checked)


def _noted(path: Path) -> dict[int, dict[str, int]]:
    """Counts by epoch. A line that a kill cut off counts nothing, and its epoch is told as not counted."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            noted = parse_json(line, where=path, kind=dict)
            found[noted["epoch"]] = {what: int(noted["pairs"][what]) for what in Count}
        except (BrokenJSON, KeyError, TypeError, ValueError):
            continue
    return found


def read_account(path: Path) -> Account | None:
    """The account of a finished run; None where there is none, as of runs before there were any. Raises UserError."""
    try:
        return Account(**read_json(path, kind=dict))
    except (FileNotFoundError, TypeError):
        return None

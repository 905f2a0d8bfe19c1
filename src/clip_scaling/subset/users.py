"""A user's own webdataset shards as subsets: read once to count what is usable, never copied."""

import glob
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import sha256, write_json
from ..core.study import Study, SubsetEntry
from .at_scale_command import is_at_scale, write_addresses, write_manifest
from .at_scale_remote import fetched, is_remote
from .reader import ShardReader, refuse_odd_file
from .write import manifest

_MOST_SHARDS = 1_000_000  # a slip in a brace pattern must not fill the memory
_DEEPEST = 8
_RANGE = re.compile(r"(-?\d{1,20}|[A-Za-z])\.\.(-?\d{1,20}|[A-Za-z])(?:\.\.(-?\d{1,20}))?")


def names_of(pattern: str) -> list[str]:
    """Names in a brace pattern, as webdataset understands it. Raises UserError where it is none, or names too many."""
    import braceexpand

    # The library lists a range before it yields a name, and takes long for many braces: reckon first.
    if _expansions(pattern) > _MOST_SHARDS:
        raise UserError(f"names more than {_MOST_SHARDS:,} shards", where=pattern, mend="give a shorter pattern")
    try:
        names = list(braceexpand.braceexpand(pattern))
    except (ValueError, RecursionError) as error:
        raise UserError(f"is no brace pattern ({error})", where=pattern, mend="write for instance {00000..00041}") from None
    return names


def expand(pattern: str) -> list[Path]:
    """Files that a brace pattern or glob names. Relative ones start at the project; remote ones are fetched into the
    cache, each once.

    Raises UserError where it names none, too many, or a file that is not there.
    """
    found: list[Path] = []
    for name in names_of(pattern):
        if is_remote(name):
            found.append(fetched(name))
            continue
        path = paths.named_by_user(name)
        matches = [path] if os.path.isfile(path) else [Path(match) for match in sorted(glob.glob(str(path)))]
        if not matches:
            raise UserError("no such shard", where=path, mend="mend subset.subsets[].shards in the study file")
        for match in matches:
            refuse_odd_file(match)
        found += matches
    return list(dict.fromkeys(found))


def _expansions(pattern: str) -> int:
    """How many names a brace pattern stands for, or more than the most where it is more. Raises UserError for deep nesting."""
    # Of each open brace: names of finished alternatives, names of the one being read, where that one began, and commas.
    stack, place = [[0, 1, 0, 0]], 0
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\":
            place += 1
        elif letter == "{":
            if len(stack) > _DEEPEST:
                raise UserError(f"is no brace pattern (more than {_DEEPEST} braces in one another)", where=pattern,
                                mend="write for instance {00000..00041}")
            stack.append([0, 1, place + 1, 0])
        elif letter == "," and len(stack) > 1:
            stack[-1] = [stack[-1][0] + stack[-1][1], 1, place + 1, stack[-1][3] + 1]
        elif letter == "}" and len(stack) > 1:
            done, current, begun, commas = stack.pop()
            steps = _RANGE.fullmatch(pattern, begun, place) if not commas else None
            names = _range(*steps.groups()) if steps else done + current
            stack[-1][1] = min(stack[-1][1] * names, _MOST_SHARDS + 1)
        place += 1
    return max(done + current for done, current, _, _ in stack)


def _range(first: str, last: str, step: str | None) -> int:
    ends = [ord(end) if end.isalpha() else int(end) for end in (first, last)]
    return abs(ends[1] - ends[0]) // max(abs(int(step or 1)), 1) + 1


def shards_of(entry: SubsetEntry) -> list[Path]:
    if not entry.shards:
        raise UserError(f"subset {entry.name} names no shards", where="subset.subsets", mend="add `shards: path/{00000..00009}.tar`")
    return expand(entry.shards)


def write_manifests(study: Study, folder: Path, tokenizer: str) -> None:
    """A manifest a subset: whole shards, from the first, until they hold the samples asked for.

    A shard's count is that of the pairs that the reader takes; refusals stand in the manifest. Raises UserError where
    the shards hold fewer.
    """
    for entry in study.subset.subsets:
        if is_at_scale(entry):
            write_manifest(study, entry, folder, tokenizer)
            continue
        if study.train.engine == "cluster" and entry.shards and all(map(is_remote, names := names_of(entry.shards))):
            write_addresses(entry, names, folder, tokenizer)
            continue
        shards, counts = _counted(entry, folder)
        total = sum(shard["samples"] for shard in shards)
        if total < entry.samples:
            raise UserError(
                f"subset {entry.name} asks for {entry.samples:,} pairs, its shards hold {total:,}",
                where=entry.shards, mend=f"ask for {total} or fewer, or add shards",
            )
        write_json(folder / f"{entry.name}.json", manifest(entry.name, entry.family, shards, tokenizer, read=counts))
        print(f"{entry.name}: {total:,} pairs in {len(shards)} shards", file=sys.stderr)


def _counted(entry: SubsetEntry, folder: Path) -> tuple[list[dict], list[dict]]:
    from tqdm import tqdm

    shards, counts, total = [], [], 0
    for path in tqdm(shards_of(entry), desc=f"reading {entry.name}", unit="shard"):
        if total >= entry.samples:
            break
        reader = ShardReader([path])
        pairs = sum(1 for _ in reader)
        total += pairs
        place = os.path.relpath(path.resolve(), folder.resolve())
        counts.append({"path": place, **reader.counts.as_json()})
        if pairs:
            shards.append({"path": place, "sha256": sha256(path), "samples": pairs})
    return shards, counts


def captions(entries: Sequence[SubsetEntry]):
    """Captions of all shards that the subsets name, each shard once."""
    shards = dict.fromkeys(path for entry in entries for path in shards_of(entry))
    for pair in ShardReader(shards, images=False):
        yield pair.caption

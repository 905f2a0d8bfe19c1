"""A user's own webdataset shards as subsets: read once to count what is usable, never copied."""

import glob
import itertools
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import sha256, write_json
from ..core.study import Study, SubsetEntry
from .at_scale_command import is_at_scale, write_manifest
from .at_scale_remote import fetched, is_remote
from .reader import ShardReader
from .write import manifest

_MOST_SHARDS = 1_000_000  # a slip in a brace pattern must not fill the memory


def expand(pattern: str) -> list[Path]:
    """Files that a brace pattern or glob names, as webdataset understands them. Relative ones start at the project.
    Remote ones are fetched into the cache, each once.

    Raises UserError where it names none, too many, or a file that is not there.
    """
    import braceexpand

    # The library lists a range before it yields a name, so that a slip of the keyboard would fill the memory.
    ranges = re.findall(r"\{(-?\d+)\.\.(-?\d+)", pattern)
    if any(abs(int(last[:20]) - int(first[:20])) >= _MOST_SHARDS for first, last in ranges):
        raise UserError(f"names more than {_MOST_SHARDS:,} shards", where=pattern, mend="give a shorter pattern")
    try:
        names = list(itertools.islice(braceexpand.braceexpand(pattern), _MOST_SHARDS + 1))
    except ValueError as error:
        raise UserError(f"is no brace pattern ({error})", where=pattern, mend="write for instance {00000..00041}") from None
    if len(names) > _MOST_SHARDS:
        raise UserError(f"names more than {_MOST_SHARDS:,} shards", where=pattern, mend="give a shorter pattern")
    found: list[Path] = []
    for name in names:
        if is_remote(name):
            found.append(fetched(name))
            continue
        path = paths.project_root() / Path(name).expanduser()
        matches = [path] if path.is_file() else [Path(match) for match in sorted(glob.glob(str(path)))]
        if not matches:
            raise UserError("no such shard", where=path, mend="mend subset.subsets[].shards in the study file")
        found += matches
    return list(dict.fromkeys(found))


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

"""Random subsets of a pool too large to copy, drawn from the Parquet metadata that img2dataset writes beside its tars.

A sample's place in the order is a hash of its key and a seed, so that subsets of one pool nest (a smaller one lies
wholly inside a larger one), and neither the number of workers nor the order of files changes what is drawn. The result
is a list of shards (`by="shards"`) or, a sample at a time, a list of keys for each shard (`by="keys"`); images stay
where they are. Metadata are streamed through DuckDB, a few hundred files at a time.
"""

import hashlib
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core.errors import UserError
from ..core.files import write_json
from .at_scale_metadata import Filters, Metadata, quoted

BUCKET_BITS = 24  # the histogram of hashes: 16.8 million bins of 8 bytes, about 120 rows each at 2 billion


@dataclass(frozen=True)
class Selection:
    """What was drawn: `rows` in the metadata, pairs that `passed` the filters, `samples` drawn, in `shards` tars.

    `repeated`: rows that passed and name a key for a second time in their shard; those are one pair.
    """

    name: str
    by: str
    samples: int
    shards: int
    rows: int
    passed: int
    repeated: int
    seed: int
    manifest: str


def hash_of(text: str, seed: int) -> int:
    """Place of a key in the order of `seed`: the first 8 bytes of the MD5 of "seed:key", as an unsigned integer."""
    return int.from_bytes(hashlib.md5(f"{seed}:{text}".encode(), usedforsecurity=False).digest()[:8], "little")


def select(
    pattern: str, *, name: str, family: str, samples: int, output: Path, by: str = "keys", seed: int = 0,
    filters: Filters = Filters(), threads: int | None = None, quiet: bool = False,
) -> Selection:
    """Draw `samples` pairs from the pool whose metadata match `pattern` and write `output`/<name>.json.

    `by="keys"`: exactly `samples` pairs, listed in `output`/<name>.keys/*.parquet (columns shard, key).
    `by="shards"`: whole shards, as many as hold `samples` pairs or more; the true number is in the manifest.
    Raises UserError where the pool holds fewer, a filter names a missing column, or filters meet `by="shards"`.
    """
    if by == "shards" and filters.active:
        raise UserError("filters do not go with whole shards", where="--by shards", mend="draw keys: --by keys")
    metadata = Metadata(pattern, filters, seed, threads=threads, quiet=quiet)
    draw = _draw_keys if by == "keys" else _draw_shards
    shards, rows, passed, repeated, extra = draw(metadata, name, samples, output)
    manifest = {
        "name": name, "family": family, "samples": sum(entry["samples"] for entry in shards), "shards": shards,
        "tokenizer": None,
        "selection": {"by": by, "seed": seed, "metadata": pattern, "filters": asdict(filters), "rows": rows,
                      "passed": passed, "repeated": repeated, **extra},
    }
    path = Path(output) / f"{name}.json"
    write_json(path, manifest)
    return Selection(name, by, manifest["samples"], len(shards), rows, passed, repeated, seed, str(path))


def _draw_keys(metadata: Metadata, name: str, samples: int, output: Path):
    """Two passes: count hashes in fine bins, then write keys up to the bin that reaches `samples`; trim it."""
    import numpy as np

    counts, rows, repeated = np.zeros(1 << BUCKET_BITS, np.int64), 0, 0
    for chunk in metadata.chunks("counting"):
        hashes, read, again = metadata.hashes(chunk)
        counts += np.bincount((hashes >> np.uint64(64 - BUCKET_BITS)).astype(np.int64), minlength=len(counts))
        rows, repeated = rows + read, repeated + again
    passed = int(counts.sum())
    _enough(passed, rows, samples, metadata)
    bucket = int(np.searchsorted(np.cumsum(counts), samples))
    del counts
    bound = (bucket + 1 << 64 - BUCKET_BITS) - 1
    folder = Path(output) / f"{name}.keys"
    folder.parent.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{name}.keys."))
    try:
        parts = []
        for number, chunk in enumerate(metadata.chunks("writing keys")):
            parts.append(working / f"{number:05d}.parquet")
            metadata.write_keys(chunk, bound, parts[-1])
        threshold = metadata.trim(parts, bucket << 64 - BUCKET_BITS, samples)
        shards = metadata.kept(parts, folder.name)
        shutil.rmtree(folder, ignore_errors=True)
        working.chmod(0o755)
        working.rename(folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return shards, rows, passed, repeated, {"threshold": threshold}


def _draw_shards(metadata: Metadata, name: str, samples: int, output: Path):
    """One pass: count pairs in each shard, then take shards in the order of their hash until `samples` are reached."""
    counted, rows, repeated = [], 0, 0
    for chunk in metadata.chunks("counting"):
        found, read, again = metadata.shard_counts(chunk)
        counted += found
        rows, repeated = rows + read, repeated + again
    passed = sum(entry["samples"] for entry in counted)
    _enough(passed, rows, samples, metadata)
    counted.sort(key=lambda entry: (hash_of(Path(entry["path"]).stem, metadata.seed), entry["path"]))
    taken, total = [], 0
    for entry in counted:
        if total >= samples:
            break
        if entry["samples"]:
            taken.append(entry)
            total += entry["samples"]
    return taken, rows, passed, repeated, {}


def _enough(passed: int, rows: int, samples: int, metadata: Metadata) -> None:
    if passed < samples:
        raise UserError(
            f"{samples:,} samples asked for, {passed:,} of {rows:,} rows can be drawn",
            where=metadata.pattern, mend="ask for fewer, loosen a filter, or add shards",
        )


def kept_keys(part: Path, shard: str) -> frozenset[str]:
    """Keys of `shard` (the path of its tar, as in the manifest) that a key file keeps."""
    import duckdb

    query = f"SELECT key FROM read_parquet({quoted(str(part))}) WHERE shard = ?"
    with duckdb.connect(config={"threads": 1}) as connection:
        return frozenset(key for (key,) in connection.execute(query, [shard]).fetchall())

"""`clip-scaling subset --at-scale METADATA`: draw from a pool of tars too large to copy, by its Parquet metadata."""

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

from ..core.errors import UserError
from ..core.study import Study, SubsetEntry, is_name
from .at_scale_metadata import Filters
from .manifests import read_manifest


def add_arguments(parser) -> None:
    group = parser.add_argument_group("pools at scale (img2dataset's tars beside Parquet metadata)")
    group.add_argument("--at-scale", metavar="METADATA", help="glob, folder or URL of Parquet files, tars beside them")
    group.add_argument("--samples", type=int, help="pairs to draw")
    group.add_argument("--name", default="subset", help="name of the subset")
    group.add_argument("--family", default="LAION", help="pre-training distribution")
    group.add_argument("--output", type=Path, default=Path("."), help="folder of the manifest (default: here)")
    group.add_argument("--by", choices=["keys", "shards"], default="keys", help="single pairs, or whole shards")
    group.add_argument("--seed", type=int, default=0, help="subsets of one seed and pool nest")
    group.add_argument("--min-width", type=int, metavar="PIXELS")
    group.add_argument("--min-height", type=int, metavar="PIXELS")
    group.add_argument("--max-aspect", type=float, metavar="RATIO", help="longer side over shorter side")
    group.add_argument("--min-similarity", type=float, metavar="S", help="of image and caption, as LAION states it")
    group.add_argument("--language", action="append", default=[], metavar="CODE", help="may be repeated")
    group.add_argument("--copy", type=Path, metavar="FOLDER", help="copy the drawn pairs into shards of their own")
    group.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args) -> None:
    """Draw, write the manifest, say what was drawn. Raises UserError."""
    from .at_scale import select

    _check(args)
    filters = Filters(args.min_width, args.min_height, args.max_aspect, args.min_similarity, tuple(args.language))
    drawn = select(args.at_scale, name=args.name, family=args.family, samples=args.samples, output=args.output,
                   by=args.by, seed=args.seed, filters=filters)
    if args.copy:
        from .at_scale_copy import copy_drawn

        copy_drawn(Path(drawn.manifest), args.copy)
    if args.json:
        print(json.dumps(asdict(drawn), indent=1))
    else:
        again = f", {drawn.repeated:,} rows repeat a key of their shard" if drawn.repeated else ""
        print(f"{drawn.manifest}: {drawn.samples:,} pairs in {drawn.shards:,} shards, "
              f"drawn from {drawn.passed:,} of {drawn.rows:,} rows{again}")


def _check(args) -> None:
    """Refuse options that mean nothing, each by its name."""
    if args.samples is None or args.samples < 1:
        raise UserError("how many pairs?", where="--at-scale", mend="add --samples N, N of 1 or more")
    if not is_name(args.name):
        raise UserError(f"--name {args.name!r} is no name", mend="take letters, digits, dots, dashes and underscores")
    if args.max_aspect is not None and not 1 <= args.max_aspect < math.inf:
        raise UserError(f"--max-aspect {args.max_aspect:g} keeps nothing", mend="give a ratio of 1 or more, such as 3")
    if args.min_similarity is not None and not math.isfinite(args.min_similarity):
        raise UserError(f"--min-similarity {args.min_similarity:g} is no similarity", mend="give a number such as 0.3")


def is_at_scale(entry: SubsetEntry) -> bool:
    """Whether a study's subset names metadata (`laion400m/*.parquet`) in place of shards."""
    return bool(entry.shards) and entry.shards.endswith(".parquet")


def metadata_of(entry: SubsetEntry) -> str:
    """The metadata's glob or URL; relative ones start at the project."""
    from ..core import paths

    pattern = entry.shards
    return pattern if "://" in pattern else str(paths.named_by_user(pattern))


def write_manifest(study: Study, entry: SubsetEntry, folder: Path, tokenizer: str) -> None:
    """Draw a study's subset (seed: the study's) and write folder/<name>.json. Raises UserError."""
    from ..core.files import write_json
    from .at_scale import select

    drawn = select(metadata_of(entry), name=entry.name, family=entry.family, samples=entry.samples, output=folder,
                   seed=study.prepare.seed)
    write_json(Path(drawn.manifest), read_manifest(Path(drawn.manifest)) | {"tokenizer": tokenizer})


def write_addresses(entry: SubsetEntry, names: list[str], folder: Path, tokenizer: str) -> None:
    """List remote shards, which the trainer streams: none is read, and the number of pairs is the study's."""
    from ..core.files import write_json
    from .write import manifest

    shards = [{"path": name, "sha256": None, "samples": None} for name in dict.fromkeys(names)]
    content = manifest(entry.name, entry.family, [], tokenizer)
    write_json(folder / f"{entry.name}.json", content | {"shards": shards, "samples": entry.samples})
    print(f"{entry.name}: {len(shards)} remote shards listed; {entry.samples:,} pairs, as the study says, not counted",
          file=sys.stderr)


def captions(entries: list[SubsetEntry], most: int):
    """Up to `most` captions from metadata, file by file. Raises UserError where there is no caption column."""
    import duckdb

    from .at_scale_metadata import Metadata, quoted

    left = most
    for pattern in dict.fromkeys(metadata_of(entry) for entry in entries):
        metadata = Metadata(pattern, Filters(), 0, quiet=True)
        for file in metadata.files:
            sql = f"SELECT caption FROM read_parquet({quoted(file)}) WHERE caption IS NOT NULL LIMIT {left}"
            try:
                found = metadata.connection.execute(sql).fetchall()
            except duckdb.Error:
                raise UserError("has no column `caption`", where=file, mend="give img2dataset's metadata") from None
            yield from (caption for (caption,) in found)
            left -= len(found)
            if left <= 0:
                return

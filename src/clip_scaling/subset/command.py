"""`clip-scaling subset`: nested pre-training subsets as webdataset shards, with a manifest each."""

import sys
from pathlib import Path

from ..core import params, paths
from ..core.errors import UserError
from ..core.files import atomic_folder, write_json
from ..core.study import Study, load_study

_TOKENIZER = "../pool/tokenizer/bpe.txt.gz"  # from the folder of manifests


def add_arguments(parser) -> None:
    from . import at_scale_command

    parser.add_argument("--study", help="name or file of a study (default: the one in params.yaml)")
    at_scale_command.add_arguments(parser)


def run(args) -> None:
    """Write data/<study>/subsets/ whole, or leave what is there as it is. Raises UserError."""
    if args.at_scale:
        from . import at_scale_command

        return at_scale_command.run(args)
    given = args.study or params.default_study()
    study = load_study(given)
    pool = paths.pool(study.study)
    if not (pool / "tokenizer" / "bpe.txt.gz").is_file():
        raise UserError("is not prepared", where=pool, mend=f"run `clip-scaling prepare --study {given}` first")
    with atomic_folder(paths.subsets(study.study)) as building:
        if study.prepare.source == "shards":
            from .users import write_manifests

            write_manifests(study, building, _TOKENIZER)
        else:
            _write(study, pool / "pool.parquet", building)


def _write(study: Study, pool: Path, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tqdm import tqdm

    from .draw import plan
    from .write import manifest, write_shards

    try:
        table = pq.read_table(pool)
        names, families = (table.column(name).to_pylist() for name in ("key", "family"))
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise UserError(f"is no pool ({error})", where=pool, mend=f"run `clip-scaling prepare --study {study.study}` again") from None
    entries, section = study.subset.subsets, study.subset
    plans = plan(entries, names, families, shard_samples=section.shard_samples, seed=study.prepare.seed)
    with tqdm(total=sum(len(made.rows) for made in plans), desc="writing shards", unit="pair", unit_scale=True) as bar:
        for made in plans:
            shards = write_shards(table, made, folder, study.prepare.image_size, bar)
            for entry in entries:
                if entry.family == made.family:
                    taken = shards[: made.shards_of(entry.samples)]
                    write_json(folder / f"{entry.name}.json", manifest(entry.name, entry.family, taken, _TOKENIZER))
    print(f"{len(entries)} subsets in {sum(len(made.ends) for made in plans)} shards", file=sys.stderr)

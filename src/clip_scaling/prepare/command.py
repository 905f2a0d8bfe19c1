"""`clip-scaling prepare`: the pool of image-caption pairs, evaluation sets, tuning sets, tokenizer, manifest."""

import sys
from collections import Counter
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_folder, sha256, write_json, write_text
from ..core.params import default_study
from ..core.study import Study, load_study


def add_arguments(parser) -> None:
    parser.add_argument("--study", help="study to prepare for (default: as in params.yaml)")
    parser.add_argument("--workers", type=int, help="processes that render (default: one a core)")


def run(args) -> None:
    """Write data/<study>/pool/ whole, or leave what is there as it is. Raises UserError."""
    study = load_study(args.study or default_study())
    with atomic_folder(paths.pool(study.study)) as building:
        if study.prepare.source == "shards":
            from .shards import prepare_shards

            prepare_shards(study, building)
        else:
            _prepare(study, *_sources(study), building, args.workers)


def _sources(study: Study) -> tuple[Path, Path]:
    """Icon sets and emoji names: fetched and checked, or the fixture's."""
    if study.prepare.source == "fixture":
        folder = paths.project_root() / "data" / "fixture"
        if not any((folder / "sets").glob("*.json")):
            raise UserError("holds no icon sets", where=folder, mend="restore data/fixture from git")
        return folder / "sets", folder / "emoji.json"
    from .fetch import EMOJIBASE, ICONIFY, fetch

    return fetch(ICONIFY), fetch(EMOJIBASE)


def _prepare(study: Study, source: Path, emoji_source: Path, folder: Path, workers: int | None) -> None:
    from . import assemble, emoji, icons, render
    from .names import caption

    seed, size = study.prepare.seed, study.prepare.image_size
    print(f"reading icon sets from {source.name}", file=sys.stderr)
    collection, named = icons.collect(source), emoji.read(emoji_source)
    planned = assemble.plan(collection, named, seed)
    renders = list(render.render_all([item.icon for item in planned.placed], size, workers))
    failed = Counter(made.left_out for made in renders if made.left_out)
    rendered = assemble.with_renders(planned.placed, renders)
    print("looking for near-duplicates of evaluation images in the pool", file=sys.stderr)
    sets = assemble.evaluation_sets(collection, planned, rendered, seed)
    pool = [item for item in rendered if item.place == assemble.POOL]
    captions = [caption(item.icon, collection.sets[item.icon.set], named, seed) for item in pool]
    merges = _write(study, folder, collection, pool, captions, sets)
    from .manifest import attribution, manifest

    about = manifest(study, collection, rendered, sets, failed, merges)
    about["left_out_sets_of_others"] = _write_probes(study, folder)
    about["files"] = {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    write_json(folder / "manifest.json", about)
    write_text(folder / "ATTRIBUTION.md", attribution(collection))
    print(f"{len(pool)} pairs in the pool, {len(sets)} evaluation sets", file=sys.stderr)


def _write(study: Study, folder: Path, collection, pool, captions, sets) -> int:
    """Write pool.parquet, the tokenizer and the evaluation folders; returns the number of merges."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from .families import distribution, families
    from .folders import TEMPLATES, write_classification, write_retrieval, write_split
    from .vocabulary import write_merges

    family = families(collection.sets)
    where = [collection.sets[item.icon.set] for item in pool]
    table = pa.table({
        "key": [item.icon.key for item in pool], "caption": captions, "png": [item.render.png for item in pool],
        "set": [icon_set.prefix for icon_set in where], "icon_family": [family[icon_set.prefix] for icon_set in where],
        "family": [distribution(icon_set) for icon_set in where], "license": [icon_set.license for icon_set in where],
    })
    pq.write_table(table, folder / "pool.parquet", compression="zstd")
    for made in sets:
        place = folder / ("tuning" if made.tuning else "evaluation") / made.name
        write_classification(place, made.classnames, TEMPLATES) if made.classnames else write_retrieval(place)
        for split, items in made.splits.items():
            if items:
                write_split(place, split, items)
    return write_merges(captions, study.prepare.vocabulary, folder / "tokenizer" / "bpe.txt.gz")


def _write_probes(study: Study, folder: Path) -> dict[str, str]:
    """Write the sets that are no icons; returns those left out, with the reason."""
    from .folders import DIGIT_TEMPLATES, TEMPLATES, write_classification, write_split
    from .probes import DIGITS, GARMENTS, digits, fashion_mnist

    wanted = {*study.evaluate.linear_probe, *study.evaluate.zeroshot}
    made, left_out = {}, {}
    if "digits" in wanted:
        made["digits"] = (digits(study.prepare.image_size, study.prepare.seed), DIGITS, DIGIT_TEMPLATES)
    if "fashion-mnist" in wanted:
        found = fashion_mnist(study.prepare.image_size, study.prepare.seed)
        if isinstance(found, str):
            left_out["fashion-mnist"] = found
            print(f"fashion-mnist is left out: {found}", file=sys.stderr)
        else:
            made["fashion-mnist"] = (found, GARMENTS, TEMPLATES)
    for name, (splits, names, templates) in made.items():
        write_classification(folder / "evaluation" / name, names, templates)
        for split, items in splits.items():
            write_split(folder / "evaluation" / name, split, items)
    return left_out

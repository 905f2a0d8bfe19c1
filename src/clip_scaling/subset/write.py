"""Shards and their metadata on disk, in img2dataset's layout: 00000.tar with 00000.parquet beside it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..core.files import sha256
from .draw import Plan
from .tarfiles import TarWriter

_METADATA = ("key", "caption", "set", "icon_family", "family", "license")


def write_shards(pool, plan: Plan, folder: Path, size: int, bar) -> list[dict]:
    """Write the plan's shards to `folder`/<family>/; returns [{"path", "sha256", "samples"}], paths from `folder`.

    `pool` is the table of prepare; images are `size` x `size` and their PNG bytes are copied. `bar` is advanced.
    """
    written = []
    (folder / plan.family).mkdir(parents=True)
    for number, (start, end) in enumerate(zip((0, *plan.ends), plan.ends, strict=False)):
        path = folder / plan.family / f"{number:05d}.tar"
        part = pool.take(list(plan.rows[start:end]))
        _write_tar(part, path)
        _write_metadata(part, path.with_suffix(".parquet"), size)
        written.append({"path": f"{plan.family}/{path.name}", "sha256": sha256(path), "samples": end - start})
        bar.update(end - start)
    return written


def _write_tar(part, path: Path) -> None:
    columns = [part.column(name).to_pylist() for name in ("key", "png", "caption", "set", "license")]
    with open(path, "wb", buffering=1 << 20) as file:
        tar = TarWriter(file)
        for key, png, caption, icon_set, license_ in zip(*columns, strict=True):
            tar.add(f"{key}.png", png)
            tar.add(f"{key}.txt", caption.encode())
            about = {"key": key, "caption": caption, "set": icon_set, "license": license_}
            tar.add(f"{key}.json", json.dumps(about, ensure_ascii=False).encode())
        tar.close()


def _write_metadata(part, path: Path, size: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    hashes = [hashlib.sha256(png).hexdigest() for png in part.column("png").to_pylist()]
    sides = {name: pa.array([size] * len(part), pa.int32()) for name in ("width", "height")}
    table = pa.table({name: part.column(name) for name in _METADATA} | sides | {"sha256": pa.array(hashes)})
    pq.write_table(table, path, compression="zstd")


def manifest(name: str, family: str, shards: Sequence[dict], tokenizer: str, **more: object) -> dict:
    """What `train` reads: the subset's shards, their hashes and the tokenizer, as paths from the manifest's folder."""
    samples = sum(shard["samples"] for shard in shards)
    return {"name": name, "family": family, "samples": samples, "shards": list(shards), "tokenizer": tokenizer, **more}

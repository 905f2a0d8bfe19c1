"""A study's data in one compact file: every image once, captions, tokenizer, manifests and evaluation sets.

Subsets share images, and icons are drawn in many colours and copied from set to set: images are kept once, grey ones
as one plane, sorted so that alike stand together; a shard is then a list of row numbers. Held in memory as a whole.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path
from ..train.packed import captions_path, images_path, pack_shard
from ..train.spec import RunSpec, Shard
from . import archive

MEND = "write it with `clip-scaling travel pack`, and carry all its parts"
_TABLE, _ROWS = "images-", "rows-"  # names of members that are no files here


@dataclass(frozen=True)
class Table:
    """Distinct images of S pixels a side: grey uint8 [n, S, S], sorted, then coloured ones uint8 [m, S, S, 3], sorted."""

    grey: np.ndarray
    coloured: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Images uint8 [len(rows), S, S, 3]."""
        grey = rows < len(self.grey)
        images = np.empty((len(rows), *self.grey.shape[1:], 3), np.uint8)
        images[grey] = self.grey[rows[grey], :, :, None]
        images[~grey] = self.coloured[rows[~grey] - len(self.grey)]
        return images


def tabled(images: np.ndarray) -> tuple[Table, np.ndarray]:
    """The distinct images among uint8 [n, S, S, 3], and the row of each, int32 [n]."""
    grey = (images == images[..., :1]).all(axis=(1, 2, 3))
    planes, of_planes = _distinct(images[grey][..., 0])
    colours, of_colours = _distinct(images[~grey])
    rows = np.empty(len(images), np.int32)
    rows[grey], rows[~grey] = of_planes, len(planes) + of_colours
    return Table(planes, colours), rows


def _distinct(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(images):
        return images, np.empty(0, np.int64)
    flat = np.ascontiguousarray(images).reshape(len(images), -1)
    values, rows = np.unique(flat.view(f"V{flat.shape[1]}").ravel(), return_inverse=True)
    return values.view(np.uint8).reshape(-1, *images.shape[1:]), rows


def pack(target: Path, study: str, specs: list[RunSpec], *, split: int | None = None) -> None:
    """Write everything that training and evaluating `specs` needs, and say how large it is."""
    sizes: dict[int, dict[str, Shard]] = {}
    for spec in specs:
        size = spec.config["vision_cfg"]["image_size"]
        sizes.setdefault(size, {}).update((shard.sha256, shard) for shard in spec.shards)
    pool, subsets = paths.pool(study), paths.subsets(study)
    files = [*sorted(subsets.glob("*.json")), *sorted(pool.glob("tokenizer/*")), *sorted(pool.glob("*.json"))]
    files += [path for path in sorted((pool / "evaluation").rglob("*")) if path.is_file()]
    with archive.written(target, compressed=True, split=split) as tar:
        for size, shards in sizes.items():
            _pack_images(tar, size, list(shards.values()))
        for path in tqdm(files, desc="pack the rest", unit="file", file=sys.stderr):
            tar.add(path.relative_to(paths.project_root()).as_posix(), path)
    found = archive.parts(target)
    many = f" in {len(found)} parts, {found[0].name} and on" if len(found) > 1 else ""
    print(f"{target}: {archive.total_size(found) / 2**20:.1f} MiB{many}")


def _pack_images(tar: archive.Tar, size: int, shards: list[Shard]) -> None:
    for shard in tqdm(shards, desc="decode", unit="shard", file=sys.stderr):
        pack_shard(shard, size, patient=True)
    table, rows = tabled(np.concatenate([np.load(images_path(shard, size), mmap_mode="r") for shard in shards]))
    for kind, images in (("grey", table.grey), ("coloured", table.coloured)):
        print(f"pack {len(images)} {kind} images of {size} pixels", file=sys.stderr)
        tar.add(f"{_TABLE}{size}-{kind}", np.array(images.shape[:1], np.int64).tobytes() + images.tobytes())
    ends = np.cumsum([shard.samples for shard in shards])
    for shard, part in zip(shards, np.split(rows, ends[:-1]), strict=True):
        tar.add(f"packed/{captions_path(shard).name}", captions_path(shard))
        tar.add(f"{_ROWS}{size}/{images_path(shard, size).name}", part.astype("<i4").tobytes())


def unpack(source: Path, study: str) -> None:
    """Put what `pack` wrote where it belongs. Files of another state of the study are replaced. Raises UserError."""
    tables: dict[str, np.ndarray] = {}
    try:
        found = archive.contents(source, MEND, lambda name: _place(name, study))
        for name, content in tqdm(found, desc="unpack", unit="file", file=sys.stderr):
            if name.startswith(_TABLE):
                size, _, kind = name.removeprefix(_TABLE).partition("-")
                shape = (int(np.frombuffer(content[:8], np.int64)[0]), int(size), int(size), *([3] * (kind != "grey")))
                tables[f"{size}-{kind}"] = np.frombuffer(content, np.uint8, offset=8).reshape(shape)
            elif name.startswith(_ROWS):
                size = name.removeprefix(_ROWS).partition("/")[0]
                _unpack_shard(_place(name, study), Table(tables[f"{size}-grey"], tables[f"{size}-coloured"]), content)
            else:
                archive.put(_place(name, study), content)
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"is no packed study {study} ({error})", where=source, mend=MEND) from None


def _place(name: str, study: str) -> Path | None:
    """Where a member belongs; None for a table, which is no file here. Raises ValueError."""
    if name.startswith(_TABLE):
        return None
    return archive.place(f"packed/{name.partition('/')[2]}" if name.startswith(_ROWS) else name, study)


def _unpack_shard(target: Path, table: Table, rows: bytes) -> None:
    if not target.is_file():  # its name is the hash of its content
        numbers = np.frombuffer(rows, "<i4")
        if (numbers < 0).any():
            raise IndexError("a row below 0")
        with atomic_path(target) as temporary, open(temporary, "wb") as file:
            np.save(file, table[numbers], allow_pickle=False)

"""A study's data in one compact file, for a machine without a network that lends its GPU for a short time.

`--pack FILE` here, carry FILE there, `--unpack FILE` there: images of all shards (colours as differences from red,
nearly all zero in a pool of monochrome icons, compressed), captions, the tokenizer, the subsets' manifests and the
evaluation sets. Records and scores come back as small files.
"""

import io
import lzma
import sys
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path
from .packed import captions_path, images_path, pack_shard
from .spec import RunSpec

_SHARD_SUFFIX = ".planes.xz"
_MEND = "write it with `clip-scaling train --pack`"


def pack(target: str, study: str, specs: list[RunSpec]) -> None:
    """Write everything that training and evaluating `specs` needs into the tar `target`."""
    shards = {(shard.sha256, spec.config["vision_cfg"]["image_size"]): shard for spec in specs for shard in spec.shards}
    pool, subsets = paths.pool(study), paths.subsets(study)
    files = [*sorted(subsets.glob("*.json")), *sorted(pool.glob("tokenizer/*")), *sorted(pool.glob("*.json"))]
    files += [path for path in sorted((pool / "evaluation").rglob("*")) if path.is_file()]
    with atomic_path(Path(target)) as temporary, tarfile.open(temporary, "w") as tar:
        for (_, size), shard in tqdm(shards.items(), desc="pack", unit="shard", file=sys.stderr):
            pack_shard(shard, size, patient=True)
            images, captions = images_path(shard, size), captions_path(shard)
            _add(tar, f"packed/{images.name}{_SHARD_SUFFIX}", squeezed(np.load(images, mmap_mode="r")))
            _add(tar, f"packed/{captions.name}.xz", lzma.compress(captions.read_bytes()))
        for path in files:
            name = path.relative_to(paths.project_root()).as_posix()
            _add(tar, f"{name}.xz", lzma.compress(path.read_bytes()))
    print(f"{target}: {Path(target).stat().st_size / 2**20:.1f} MiB, {len(shards)} shards")


def unpack(source: str, study: str) -> None:
    """Put what `pack` wrote where this project keeps it; what is there already is left. Raises UserError."""
    try:
        with tarfile.open(source) as tar:
            for member in tqdm(tar, desc="unpack", file=sys.stderr):
                _place(PurePosixPath(member.name), tar.extractfile(member).read(), study)
    except FileNotFoundError:
        raise UserError("no such file", where=source, mend=_MEND) from None
    except (tarfile.TarError, lzma.LZMAError, ValueError, EOFError, AttributeError) as error:
        raise UserError(f"is no packed study ({error})", where=source, mend=_MEND) from None


def _place(name: PurePosixPath, content: bytes, study: str) -> None:
    if name.is_absolute() or ".." in name.parts:
        raise ValueError(f"unsafe name {str(name)!r}")
    if name.parts[:1] == ("packed",) and len(name.parts) == 2:
        target = paths.cache() / "packed" / name.name.removesuffix(_SHARD_SUFFIX).removesuffix(".xz")
    elif name.parts[:2] == ("data", study):
        target = paths.project_root() / str(name).removesuffix(".xz")
    else:
        raise ValueError(f"{name} belongs to no study {study!r}")
    if target.is_file():
        return
    with atomic_path(target) as temporary, open(temporary, "wb") as file:
        if name.name.endswith(_SHARD_SUFFIX):
            np.save(file, spread(content), allow_pickle=False)
        else:
            file.write(lzma.decompress(content))


def squeezed(images: np.ndarray) -> bytes:
    """Compress images uint8 [n, S, S, 3]: red, then green and blue less red, each as a plane."""
    images = np.asarray(images)
    red = images[..., 0]
    planes = np.stack([red, images[..., 1] - red, images[..., 2] - red])
    head = np.array(images.shape[:2], np.int64).tobytes()
    return head + lzma.compress(planes.tobytes(), preset=6)


def spread(content: bytes) -> np.ndarray:
    """What `squeezed` compressed. Raises ValueError or LZMAError for anything else."""
    count, size = np.frombuffer(content[:16], np.int64)
    flat = np.frombuffer(lzma.decompress(content[16:]), np.uint8)
    red, green, blue = flat.reshape(3, count, size, size)
    return np.stack([red, green + red, blue + red], axis=-1)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))

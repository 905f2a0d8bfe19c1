"""Copy the drawn pairs of a pool into shards of their own: only where somebody asks for it."""

from pathlib import Path

from ..core.errors import UserError
from ..core.files import atomic_path, sha256, write_json
from .at_scale import kept_keys
from .at_scale_remote import open_shard
from .manifests import read_manifest
from .reader import LARGEST_IMAGE
from .strict_tar import UnsafeTar, files
from .tarfiles import TarWriter


def copy_drawn(manifest: Path, folder: Path) -> Path:
    """Write a tar for each shard of `manifest` with its drawn pairs alone, and a manifest of the copies beside them.

    Members are copied byte for byte, in their order. Raises UserError where a shard is missing, broken, compressed, has a
    member that is no plain file of a plain name and size, or holds fewer pairs than its metadata say.
    """
    from tqdm import tqdm

    content, entries = read_manifest(manifest), []
    for number, entry in enumerate(tqdm(content["shards"], desc="copying", unit="shard", disable=None)):
        keys = kept_keys(manifest.parent / entry["keys"], entry["path"]) if "keys" in entry else None
        target = Path(folder) / f"{number:06d}.tar"
        with atomic_path(target) as temporary:
            found = _copy(entry["path"], keys, temporary)
        if keys is not None and found != keys:
            missing = sorted(keys - found)
            raise UserError(f"lacks {len(missing)} drawn pairs, such as {missing[0]}", where=entry["path"],
                            mend="its metadata are not those of this tar; fetch both again")
        entries.append({"path": target.name, "sha256": sha256(target), "samples": len(found)})
    selection = {key: value for key, value in content["selection"].items() if key != "by"} | {"by": "copies"}
    samples = sum(entry["samples"] for entry in entries)
    copied = content | {"shards": entries, "samples": samples, "selection": selection}
    path = Path(folder) / manifest.name
    write_json(path, copied)
    return path


def _copy(source: str, keys: frozenset[str] | None, target: Path) -> set[str]:
    """Copy members whose key is drawn; returns the keys that were there."""
    found = set()
    try:
        with open_shard(source) as file, open(target, "wb") as out:
            tar = TarWriter(out)
            for name, content in files(file, largest=LARGEST_IMAGE, wanted=lambda name: keys is None or _key(name) in keys):
                found.add(_key(name))
                tar.add(name, content)
            tar.close()
    except UnsafeTar as error:
        raise UserError(f"cannot be copied ({error})", where=source, mend="fetch it again, or leave it out") from None
    return found


def _key(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]

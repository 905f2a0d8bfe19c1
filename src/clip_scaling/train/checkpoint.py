"""Checkpoints that survive a kill: written beside, synced, renamed, with a checksum; the last two are kept."""

from dataclasses import dataclass
from pathlib import Path

from ..core.files import sha256, write_json, write_tensors
from ..core.json_files import read_json

_KEEP = 2


@dataclass(frozen=True)
class Checkpoint:
    """The state after `step` steps: tensors by name, and what else the run carries along, as JSON."""

    step: int
    tensors: dict
    carried: dict


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write tensors (safetensors), then the JSON that vouches for them; then drop all but the last two."""
    stem = folder / f"{checkpoint.step:09d}"
    written = write_tensors(stem.with_suffix(".safetensors"), checkpoint.tensors)
    write_json(stem.with_suffix(".json"), {"step": checkpoint.step, "carried": checkpoint.carried, "sha256": written})
    for old in _vouchers(folder)[_KEEP:]:
        old.unlink(missing_ok=True)
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The latest checkpoint whose checksum holds; one that is truncated or altered is passed over. None: none."""
    from safetensors.torch import load_file

    for voucher in _vouchers(folder):
        path = voucher.with_suffix(".safetensors")
        try:
            content = read_json(voucher, kind=dict)
            if content["sha256"] == sha256(path):
                return Checkpoint(content["step"], load_file(path), content["carried"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def newest(folder: Path) -> list[Path]:
    """The files of the latest checkpoint, the one that vouches last; empty: none."""
    return [path for voucher in _vouchers(folder)[:1] for path in (voucher.with_suffix(".safetensors"), voucher)]


def _vouchers(folder: Path) -> list[Path]:
    """JSON files of checkpoints, the latest first."""
    return sorted(folder.glob("[0-9]*.json"), reverse=True)

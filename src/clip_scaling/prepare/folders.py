"""Evaluation sets as folders in CLIP_benchmark's webdataset layout."""

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TEMPLATES = ("{c}", "{c} icon", "a {c} icon", "{c} outline", "{c} filled", "{c} bold")
DIGIT_TEMPLATES = ("{c}", "the digit {c}", "number {c}")


@dataclass(frozen=True)
class Labelled:
    """An image (PNG bytes) with its label: a class number, or a caption."""

    key: str
    png: bytes
    label: int | str


def write_split(folder: Path, split: str, items: Sequence[Labelled]) -> None:
    """Write SPLIT/0.tar and SPLIT/nshards.txt; equal items give equal bytes."""
    target = folder / split
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target / "0.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, item in enumerate(items):
            extension = "txt" if isinstance(item.label, str) else "cls"
            _add(archive, f"{number:06d}.png", item.png)
            _add(archive, f"{number:06d}.{extension}", str(item.label).encode())
    (target / "nshards.txt").write_text("1\n")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def write_classification(folder: Path, classnames: Sequence[str], templates: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classnames.txt").write_text("\n".join(classnames) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates) + "\n")
    (folder / "dataset_type.txt").write_text("classification\n")


def write_retrieval(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset_type.txt").write_text("retrieval\n")

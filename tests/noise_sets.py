"""Evaluation sets of noise, in CLIP_benchmark's layout."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def write_noise_set(folder: Path, names: tuple[str, ...], parts: tuple[str, ...], images: int, seed: int) -> None:
    """Classes `names`, taking turns over `images` of 32 px in each of `parts`; two prompt templates."""
    rng = np.random.default_rng(seed)
    for part in parts:
        (folder / part).mkdir(parents=True)
        with tarfile.open(folder / part / "0.tar", "w") as tar:
            for number in range(images):
                image = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(image, "PNG")
                for kind, content in (("png", image.getvalue()), ("cls", str(number % len(names)).encode())):
                    member = tarfile.TarInfo(f"{number:06d}.{kind}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    (folder / "classnames.txt").write_text("\n".join(names) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("{c}\na {c} icon\n")

"""Zero-shot classification of a tuning set: enough to compare settings, and no score that is reported."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UserError


@dataclass(frozen=True)
class TuningSet:
    """Images uint8 [n, S, S, 3], labels [n], class names and prompt templates with `{c}`."""

    images: np.ndarray
    labels: np.ndarray
    classnames: tuple[str, ...]
    templates: tuple[str, ...]


def tuning_set(folder: Path, size: int) -> TuningSet:
    """Read a folder in CLIP_benchmark's layout, near-duplicates of training images included. Raises UserError."""
    try:
        classnames = (folder / "classnames.txt").read_text(encoding="utf-8").split("\n")
        templates = (folder / "zeroshot_classification_templates.txt").read_text(encoding="utf-8").split("\n")
        pairs = [pair for part in ("test", "near_duplicate") for tar in sorted((folder / part).glob("*.tar"))
                 for pair in _labelled(tar)]
    except (OSError, tarfile.TarError, ValueError) as error:
        raise UserError(f"is no tuning set ({error})", where=folder, mend="run `clip-scaling prepare`") from None
    if not pairs or any(image.shape != (size, size, 3) for image, _ in pairs):
        raise UserError(f"holds no images of {size} pixels", where=folder, mend="run `clip-scaling prepare`")
    return TuningSet(
        np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs]),
        tuple(name for name in classnames if name), tuple(template for template in templates if template),
    )


def _labelled(path: Path) -> list[tuple[np.ndarray, int]]:
    """Images and labels of a shard of ours."""
    from PIL import Image

    images, labels = {}, {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, kind = member.name.rpartition(".")
            content = tar.extractfile(member).read()
            if kind == "png":
                images[key] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            elif kind == "cls":
                labels[key] = int(content)
    return [(images[key], labels[key]) for key in sorted(images.keys() & labels.keys())]


def score(run_dir: Path, scored: TuningSet) -> tuple[float, float, float]:
    """Top-1 and top-5 accuracy and mean reciprocal rank of the true class, prompts averaged as in the paper."""
    import torch
    import torch.nn.functional as F

    from .models import load_model
    from .towers import image_scale

    model, tokenizer = load_model(run_dir)
    scale, shift = image_scale(model)
    with torch.inference_mode():
        classes = []
        for name in scored.classnames:
            prompts = tokenizer([template.replace("{c}", name) for template in scored.templates])
            classes.append(F.normalize(model.encode_text(prompts, normalize=True).mean(0), dim=-1))
        pixels = torch.addcmul(shift, torch.from_numpy(scored.images).float(), scale).permute(0, 3, 1, 2)
        logits = model.encode_image(pixels, normalize=True) @ torch.stack(classes).T
        true = logits.gather(1, torch.from_numpy(scored.labels)[:, None])
        ranks = 1 + (logits > true).sum(1)
    within = [(ranks <= number).double().mean().item() for number in (1, 5)]
    return within[0], within[1], (1 / ranks.double()).mean().item()

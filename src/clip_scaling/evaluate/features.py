"""Features: once per model and content, kept in .cache/features; every task reads them."""

import hashlib

from ..core import paths
from ..core.errors import UserError
from ..core.files import digest, write_tensors
from .folder import Items
from .model import Model

BATCH = 256  # fixed: the last digits of a feature may depend on it


def image_features(model: Model, items: Items):
    """L2-normalised image features, float32 [N, D] on the CPU. Raises UserError where they are not finite."""
    return _kept(model, items.content, lambda: encode_images(model, items.images))


def text_features(model: Model, texts: list[str]):
    """L2-normalised text features, float32 [len(texts), D] on the CPU; equal texts are encoded once."""
    import torch

    unique = tuple(dict.fromkeys(texts))
    tokens = _tokens(model, unique)
    content = hashlib.sha256(tokens.numpy().tobytes()).hexdigest()
    features = _kept(model, f"text-{content}", lambda: _encode(model, tokens, model.clip.encode_text))
    if len(unique) == len(texts):
        return features
    place = {text: row for row, text in enumerate(unique)}
    return features[torch.tensor([place[text] for text in texts])]


_TOKENS: dict = {}  # of the last few sets of texts: all models of a study share them


def _tokens(model: Model, texts: tuple[str, ...]):
    key = (model.vocabulary, texts)
    if key not in _TOKENS:
        while len(_TOKENS) >= 16:
            del _TOKENS[next(iter(_TOKENS))]
        _TOKENS[key] = model.tokenizer(list(texts))
    return _TOKENS[key]


def encode_images(model: Model, images, *, visual=None):
    """L2-normalised features of uint8 images [N, H, W, 3], float32 [N, D], past the cache.

    `visual` stands in for the model's own image tower.
    """
    encode = visual or model.clip.encode_image
    return _encode(model, images, lambda batch: encode(pixels(model, batch)))


def pixels(model: Model, images):
    """uint8 [N, H, W, 3] to the model's input: float32 [N, 3, H, W], normalised by its mean and deviation."""
    import torch

    batch = torch.as_tensor(images).to(model.device).permute(0, 3, 1, 2).float().div_(255)
    mean, std = (torch.tensor(values, device=model.device).view(3, 1, 1) for values in (model.mean, model.std))
    return batch.sub_(mean).div_(std)


def _encode(model: Model, inputs, encode):
    import torch

    rows = []
    with torch.inference_mode():
        for start in range(0, len(inputs), BATCH):
            chunk = inputs[start : start + BATCH]
            batch = chunk.to(model.device) if isinstance(chunk, torch.Tensor) else torch.tensor(chunk)
            rows.append(torch.nn.functional.normalize(encode(batch).float(), dim=-1).cpu())
    return torch.cat(rows)


def _kept(model: Model, content: str, compute):
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = paths.cache() / "features" / f"{digest([model.content, content, model.device])}.safetensors"
    try:
        return load_file(path)["features"]
    except (FileNotFoundError, SafetensorError, KeyError):
        features = compute()
    if not torch.isfinite(features).all():
        raise UserError("gives features that are not finite", where=model.name, mend="train it again, or leave it out")
    write_tensors(path, {"features": features})
    return features

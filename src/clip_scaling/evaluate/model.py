"""Models under evaluation: a run's folder, or any checkpoint or tag that open_clip loads."""

import hashlib
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError, short
from ..core.files import digest, read_json, sha256
from .folder import Geometry


@dataclass(frozen=True)
class Model:
    """A model in eval mode and what features depend on. `content` names weights, configuration and preprocessing."""

    name: str
    clip: object  # encode_image(float [N, 3, H, W]), encode_text(long [N, L])
    tokenizer: object  # list of str -> long [N, L]
    vocabulary: str  # names the tokenizer: models with equal names share tokens
    geometry: Geometry
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    device: str
    content: str


def wrap(clip, tokenizer, *, name: str, vocabulary: str, config: object, device: str = "cpu") -> Model:
    """Make a Model of an open_clip model and its tokenizer; `config` is whatever else the numbers depend on."""
    from ..train.openclip import open_clip

    default = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    preprocess = {**default, **(getattr(clip.visual, "preprocess_cfg", None) or {})}
    size = preprocess.get("size", clip.visual.image_size)
    geometry = Geometry(
        size=tuple(size) if isinstance(size, (tuple, list)) else (size, size),
        interpolation=preprocess.get("interpolation") or "bicubic",
        resize_mode=preprocess.get("resize_mode") or "shortest",
        fill_color=preprocess.get("fill_color") or 0,
    )
    mean, std = tuple(preprocess["mean"]), tuple(preprocess["std"])
    content = digest([config, _weights_digest(clip), [*geometry.size, geometry.interpolation, geometry.resize_mode,
                                                      geometry.fill_color], mean, std])
    return Model(name, clip.to(device).eval(), tokenizer, vocabulary, geometry, mean, std, device, content)


def _weights_digest(clip) -> str:
    import torch

    total = hashlib.sha256()
    for name, value in clip.state_dict().items():
        total.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def from_run(folder: Path, *, device: str = "cpu") -> Model:
    """The model of a run's folder. Raises UserError where a file is missing or broken."""
    from ..train.models import load_model

    folder = Path(folder)
    clip, tokenizer = load_model(folder)
    config = read_json(folder / "model.json")
    merges = folder / config["text_cfg"]["tokenizer_kwargs"]["bpe_path"]
    vocabulary = f"{sha256(merges)}-{tokenizer.context_length}"
    return wrap(clip, tokenizer, name=folder.name, vocabulary=vocabulary, config=config, device=device)


def from_open_clip(architecture: str, pretrained: str, *, device: str = "cpu") -> Model:
    """A checkpoint file (weights only; .safetensors too) or a tag of open_clip's. Raises UserError."""
    from ..train.openclip import open_clip

    config = open_clip.get_model_config(architecture.replace("/", "-"))
    if config is None:
        mend = "`python -c 'import open_clip; print(open_clip.list_models())'` lists the names"
        raise UserError(f"unknown model {architecture!r}", mend=f"{mend}; or give a run's folder")
    _check_source(open_clip, architecture, pretrained)
    try:
        floating = _check_weights(Path(pretrained)) if Path(pretrained).is_file() else {}
        clip = open_clip.create_model(architecture, pretrained=pretrained, weights_only=True)
        _check_loaded(clip, floating, pretrained)
        tokenizer = open_clip.get_tokenizer(architecture)
    except pickle.UnpicklingError:
        mend = "save its state_dict as safetensors where you trust the file"
        raise UserError("holds more than weights and is not executed", where=pretrained, mend=mend) from None
    except (UserError, OSError):
        raise
    except MemoryError:
        raise UserError("needs more memory than there is", where=pretrained, mend="take a larger machine") from None
    except Exception as error:  # noqa: BLE001 - decoders raise whatever a stranger's bytes lead them to: IndexError, ...
        first = str(error).strip().splitlines()[:2]
        what = f"does not load as {architecture} ({' '.join(first)})"
        raise UserError(what, where=pretrained, mend="name the architecture that the checkpoint was made for") from None
    name = Path(pretrained).stem if Path(pretrained).is_file() else f"{architecture}_{pretrained}"
    return wrap(clip, tokenizer, name=name, vocabulary=architecture, config=config, device=device)


def _check_weights(path: Path) -> dict[str, bool]:
    """Which of a checkpoint's tensors hold floats, by name. Raises UserError for one of which the file holds only a part.

    Such a tensor is a few bytes that claim any shape: open_clip would resize it, in any time and memory.
    """
    import torch
    from open_clip.factory import load_state_dict

    if path.suffix in (".npz", ".npy"):
        return {}  # big_vision's form, of arrays, which open_clip converts by itself
    if zipfile.is_zipfile(path) and path.suffix != ".safetensors":
        with zipfile.ZipFile(path) as parts:
            held = sum(part.file_size for part in parts.infolist())
        if held > path.stat().st_size:  # torch writes parts as they are, and reads packed ones, a thousand times the file
            mend = "save the model's state_dict again with torch.save"
            raise UserError(f"is packed ({held:,} bytes within)", where=path, mend=mend)
    tensors = {name: value for name, value in load_state_dict(str(path), weights_only=True).items()
               if isinstance(value, torch.Tensor)}
    mend = "save the model's state_dict again, of plain tensors"
    for name, value in tensors.items():
        plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
        if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UserError(f"weights {short(name)!r} do not lie in the file as a whole", where=path, mend=mend)
        if value.is_complex():
            raise UserError(f"weights {short(name)!r} are complex", where=path, mend=mend)
    return {name: value.is_floating_point() for name, value in tensors.items()}


def _check_loaded(clip, floating: dict[str, bool], pretrained: str) -> None:
    """Raise UserError where weights are not finite, or whole numbers in the file, which torch casts without a word."""
    mend = "save the model's state_dict again"
    for name, value in clip.state_dict().items():
        if not value.is_floating_point():
            continue
        if not floating.get(name, floating.get(name.removeprefix("text."), True)):
            raise UserError(f"weights {short(name)!r} are no floats", where=pretrained, mend=mend)
        if not value.isfinite().all():
            raise UserError(f"weights {short(name)!r} are not finite", where=pretrained, mend=mend)


def _check_source(open_clip, architecture: str, pretrained: str) -> None:
    tags = open_clip.list_pretrained_tags_by_model(architecture.replace("/", "-"))
    if pretrained not in tags and not Path(pretrained).is_file():
        known = ", ".join(tags) or "none"
        raise UserError(f"{pretrained!r} is neither a file nor a tag of {architecture}", mend=f"tags: {known}")


def load(model: str, pretrained: str | None, *, device: str = "cpu") -> Model:
    """`model` is a run's folder, or an architecture's name with `pretrained`. Raises UserError."""
    from ..train.bounds import check_device

    check_device(device)
    if (Path(model) / "model.json").is_file():
        return from_run(Path(model), device=device)
    if pretrained is None:
        raise UserError(f"{model!r} is no run's folder", mend="give --pretrained PATH_OR_TAG with a model's name")
    return from_open_clip(model, pretrained, device=device)

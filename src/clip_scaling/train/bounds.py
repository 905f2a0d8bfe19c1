"""What a run's folder from elsewhere may say: looked at before a model is built or a file opened by its word."""

import gzip
import math
import re
import zlib
from pathlib import Path

from ..core.errors import UserError, short

_LARGEST_MERGES = 64 << 20  # characters
# Fields of open_clip's configuration that size the model: least and most.
_SIZES = {"layers": (1, 512), "width": (1, 32_768), "patch_size": (1, 1024), "head_width": (1, 32_768), "image_size": (1, 8192),
          "heads": (1, 1024), "embed_dim": (1, 65_536), "vocab_size": (1, 10_000_000), "context_length": (1, 8192)}
_MEND = "take the folder as `clip-scaling train` wrote it"


def check_config(config: object, weights: Path, where: Path) -> None:
    """Raise UserError for a configuration that is none, asks for the network, or for more than its weights can hold."""
    if not isinstance(config, dict) or not all(isinstance(config.get(part), dict) for part in ("vision_cfg", "text_cfg")):
        raise UserError("is no configuration with vision_cfg and text_cfg", where=where, mend=_MEND)
    _walk(config, where)
    file = config["text_cfg"].get("tokenizer_kwargs", {}).get("bpe_path")
    if not isinstance(file, str) or Path(file).name != file or not (where.parent / file).is_file():
        raise UserError(f"text_cfg.tokenizer_kwargs.bpe_path is {short(file)!r}, no file beside it", where=where, mend=_MEND)
    # Every parameter takes a byte at least.
    if _parameters(config) > weights.stat().st_size:
        raise UserError("describes a model larger than its weights", where=where, mend=_MEND)


def _walk(value: object, where: Path, name: str = "", depth: int = 0) -> None:
    last = name.rpartition(".")[2]
    if last.startswith("hf_") or (last.startswith("timm_") and "pretrained" in last and value):
        raise UserError(f"{name} would fetch something from the network", where=where, mend="take a model without it")
    if depth > 8:
        raise UserError("is nested too deeply", where=where, mend=_MEND)
    if isinstance(value, dict):
        for key, part in value.items():
            _walk(part, where, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list) and len(value) <= 16:
        for part in value:
            _walk(part, where, name, depth + 1)
    elif last in _SIZES:
        least, most = _SIZES[last]
        if type(value) is not int or not least <= value <= most:
            raise UserError(f"{name} is {short(value)!r}, no whole number from {least} to {most}", where=where, mend=_MEND)
    elif not isinstance(value, (str, bool, type(None))) and not (isinstance(value, (int, float)) and abs(value) <= 1e6):
        raise UserError(f"{name} is {short(value)!r}", where=where, mend=_MEND)


def _parameters(config: dict) -> int:
    """Of a transformer of each tower, roughly and not too many; towers of other kinds count nothing."""
    total = 0
    for tower in (config["vision_cfg"], config["text_cfg"]):
        width, layers = tower.get("width"), tower.get("layers")
        if isinstance(width, int) and isinstance(layers, int):
            total += 4 * layers * width**2 + width * (tower.get("vocab_size") or 0)
    return total


def check_preprocess(preprocess: object, where: Path) -> None:
    """Raise UserError for a normalisation or a geometry that cannot be one. Empty: open_clip's own."""
    if not isinstance(preprocess, dict):
        raise UserError("preprocess_cfg is no mapping", where=where, mend=_MEND)
    known = {
        "mean": _three, "std": lambda value: _three(value) and all(value), "size": _size, "fill_color": lambda value: _whole(value, 0, 255),
        "interpolation": lambda value: value in ("bicubic", "bilinear", "nearest", "random"), "mode": lambda value: value == "RGB",
        "resize_mode": lambda value: value in ("shortest", "longest", "squash"),
    }
    for name, value in preprocess.items():
        if name not in known or not known[name](value):
            raise UserError(f"preprocess_cfg.{short(name)} is {short(value)!r}", where=where, mend=_MEND)


def _three(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(
        type(one) in (int, float) and math.isfinite(one) and 0 <= one <= 1000 for one in value)


def _size(value: object) -> bool:
    sizes = value if isinstance(value, list) and len(value) == 2 else [value]
    return all(_whole(one, 1, 8192) for one in sizes)


def _whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def check_merges(path: Path) -> None:
    """Raise UserError where a file is no byte-pair vocabulary: gzip, a line of heading, two pieces a line."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            text = file.read(_LARGEST_MERGES)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"is no tokenizer ({short(error)})", where=path, mend=_MEND) from None
    lines = text.split("\n")[1:48_895]  # those that open_clip reads
    while lines and not lines[-1]:
        lines.pop()
    odd = next((line for line in lines or [""] if len(line.split()) != 2), None)
    if odd is not None or len(text) == _LARGEST_MERGES:
        raise UserError(f"is no tokenizer (a line reads {short(odd)!r})", where=path, mend=_MEND)


def check_device(name: str) -> None:
    """Raise UserError for a device that is none or not there."""
    import torch

    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,3})?", name):
        raise UserError(f"--device is {short(name)!r}", mend="give cpu, cuda or cuda:0")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[name.split(":")[0]]
    if int(name.partition(":")[2] or 0) >= there:
        raise UserError(f"no device {name} that torch can use", mend="give --device cpu, or run it on a machine with one")

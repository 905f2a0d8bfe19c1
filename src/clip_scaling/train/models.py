"""Architectures, models and tokenizers: open_clip's classes on small configurations of ours."""

import copy
import dataclasses
import shutil
from pathlib import Path

from ..core.errors import UserError
from ..core.files import atomic_path, digest, sha256, write_json, write_tensors
from ..core.json_files import read_json
from .bounds import check_config, check_merges, check_preprocess

CONTEXT_LENGTH = 16  # of our own architectures: captions are a few words
# How bytes become input, (byte / 255 - mean) / std. Icons are ink on white: with white as zero, the small towers learn
# several times faster than with open_clip's own values, which are made for photographs.
NORMALISATIONS = {"open_clip": None, "ink": {"mean": [1.0, 1.0, 1.0], "std": [1.0, 1.0, 1.0], "fill_color": 255}}
_FOLDER = Path(__file__).parent / "architectures"
_TOKENIZER_FILE = "bpe.txt.gz"
_OPEN_CLIP_FILE = "open_clip_config.json"
MODEL_FILES = ("model.safetensors", "model.json", _OPEN_CLIP_FILE, _TOKENIZER_FILE)
LEFT_BEHIND = "model.sha256"  # in a run's folder whose weights stayed on the machine that trained it: `model_digest`


def own_architectures() -> list[str]:
    """Names of the architectures defined in this package."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def known_architectures() -> list[str]:
    """Names of our architectures, then of all that the installed open_clip has."""
    from .openclip import open_clip

    return own_architectures() + sorted(set(open_clip.list_models()) - set(own_architectures()))


def architecture(name: str) -> dict:
    """An architecture as open_clip's model configuration. Raises UserError for an unknown name."""
    path = _FOLDER / f"{name}.json"
    if name in own_architectures():
        return read_json(path)
    from .openclip import open_clip

    config = open_clip.get_model_config(name)
    if config is None:
        raise UserError(
            f"unknown architecture {name!r}",
            mend=f"known: {', '.join(own_architectures())}, or a name of open_clip's such as ViT-B-32",
        )
    return config


def load_tokenizer(bpe_path: Path, context_length: int = CONTEXT_LENGTH):
    """open_clip's byte-pair tokenizer on a vocabulary of ours. Raises UserError where the file is missing or broken."""
    from .openclip import open_clip

    try:
        return open_clip.SimpleTokenizer(bpe_path=str(bpe_path), context_length=context_length)
    except FileNotFoundError:
        raise UserError("no such tokenizer", where=bpe_path, mend="run `clip-scaling prepare` again") from None
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"is no tokenizer ({error})", where=bpe_path, mend="run `clip-scaling prepare` again") from None


def model_config(config: dict, tokenizer) -> dict:
    """`config` for the vocabulary and context length of `tokenizer`."""
    fitted = copy.deepcopy(config)
    fitted["text_cfg"]["vocab_size"] = tokenizer.vocab_size
    fitted["text_cfg"]["context_length"] = tokenizer.context_length
    return fitted


def build_model(config: dict, *, seed: int = 0):
    """open_clip's CLIP for a model configuration, initialised from `seed` alone; fp32 on the CPU."""
    import torch

    from .openclip import open_clip

    config = {key: value for key, value in copy.deepcopy(config).items() if key != "custom_text"}
    config["text_cfg"].pop("tokenizer_kwargs", None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return open_clip.CLIP(**config)


def set_normalisation(model, preprocess: dict | None) -> None:
    """Note on the model how its input is normalised, where open_clip (and so every evaluation) looks for it."""
    from .openclip import open_clip

    if preprocess is not None:
        size = model.visual.image_size
        full = {**dataclasses.asdict(open_clip.transform.PreprocessCfg(size=size)), **preprocess}
        open_clip.model.set_model_preprocess_cfg(model, full)


def count_parameters(model) -> int:
    """Parameters of both towers and the logit scale."""
    return sum(parameter.numel() for parameter in model.parameters())


def save_model(model, config: dict, tokenizer_path: Path, folder: Path) -> None:
    """Write model.safetensors, model.json, the tokenizer's merges and open_clip_config.json.

    With the last, the folder is also a model of open_clip's own: `local-dir:FOLDER`, opened from within the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = copy.deepcopy(config)
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": _TOKENIZER_FILE}
    with atomic_path(folder / _TOKENIZER_FILE) as temporary:
        shutil.copyfile(tokenizer_path, temporary)
    write_json(folder / "model.json", config)
    preprocess = getattr(model.visual, "preprocess_cfg", None) or {}
    write_json(folder / _OPEN_CLIP_FILE, {"model_cfg": config, "preprocess_cfg": preprocess})
    weights = {name: value.detach().float().cpu().clone() for name, value in model.state_dict().items()}
    write_tensors(folder / "model.safetensors", weights)


def model_digest(run_dir: Path) -> str:
    """Hex digest of a run's model, tokenizer included, wherever its weights are. Raises UserError where none is."""
    if (run_dir / LEFT_BEHIND).is_file() and not (run_dir / MODEL_FILES[0]).is_file():
        return (run_dir / LEFT_BEHIND).read_text(encoding="utf-8").strip()
    _present(run_dir)
    return digest([[name, sha256(run_dir / name)] for name in MODEL_FILES if (run_dir / name).is_file()])


def _present(run_dir: Path) -> None:
    if (run_dir / LEFT_BEHIND).is_file() and not (run_dir / MODEL_FILES[0]).is_file():
        what = "its weights stayed on the machine that trained it, with the scores of other evaluation settings"
        raise UserError(what, where=run_dir, mend="evaluate it there, or remove it from .cache/runs and train it again")
    for name in ("model.json", "model.safetensors", _TOKENIZER_FILE):
        if not (run_dir / name).is_file():
            raise UserError("is missing", where=run_dir / name, mend="run `clip-scaling train` again")


def load_model(run_dir: Path):
    """The model (eval mode, fp32, CPU) and the tokenizer of a run's folder. Raises UserError where a file is broken."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    run_dir = Path(run_dir)
    _present(run_dir)
    try:
        config = read_json(run_dir / "model.json")
        check_config(config, run_dir / "model.safetensors", run_dir / "model.json")
        check_merges(run_dir / _TOKENIZER_FILE)
        tokenizer = load_tokenizer(run_dir / _TOKENIZER_FILE, config["text_cfg"]["context_length"])
        model = build_model(config)
        model.load_state_dict(load_file(run_dir / "model.safetensors"))
        if (run_dir / _OPEN_CLIP_FILE).is_file():
            preprocess = read_json(run_dir / _OPEN_CLIP_FILE)["preprocess_cfg"] or {}
            check_preprocess(preprocess, run_dir / _OPEN_CLIP_FILE)
            set_normalisation(model, preprocess or None)
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError, AttributeError, AssertionError, IndexError,
            ZeroDivisionError, RecursionError) as error:
        raise UserError(f"holds no model ({error})", where=run_dir, mend="run `clip-scaling train` again") from None
    return model.eval(), tokenizer

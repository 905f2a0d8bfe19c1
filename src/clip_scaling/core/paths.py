"""Where everything is, relative to the project's root (the folder of dvc.yaml)."""

import os
from pathlib import Path

from .errors import UserError


def project_root() -> Path:
    """$CLIP_SCALING_ROOT if set, else the nearest folder upwards with a dvc.yaml, else the working directory."""
    if value := os.environ.get("CLIP_SCALING_ROOT"):
        return Path(value)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").is_file()), here)


def named_by_user(word: str) -> Path:
    """A path that the user wrote, `~` resolved; relative ones start at the project. Raises UserError for an unknown `~name`."""
    try:
        return project_root() / Path(word).expanduser()
    except RuntimeError:
        raise UserError("no such user", where=word, mend="write the path in full") from None


def pool(study: str) -> Path:
    """Out of `prepare`: pool.parquet, tokenizer/, evaluation/<dataset>/, tuning/<dataset>/, manifest.json."""
    return project_root() / "data" / study / "pool"


def subsets(study: str) -> Path:
    """Out of `subset`: webdataset shards and one manifest a subset."""
    return project_root() / "data" / study / "subsets"


def runs(study: str) -> Path:
    """Out of `train`: a folder a run with model.safetensors, model.json, record.json, timing.json."""
    return project_root() / "runs" / study


def evaluations(study: str) -> Path:
    """Out of `evaluate`: one CSV of scores a run."""
    return project_root() / "evaluations" / study


def results(study: str) -> Path:
    """Small tables, in git: runs, scores, timings, laws, claims."""
    return project_root() / "results" / study


def figures(study: str) -> Path:
    """Out of `figure`: executed notebooks, and per figure its rows (CSV), specification (JSON) and picture (SVG)."""
    return project_root() / "figures" / study


def published() -> Path:
    """The paper's numbers in our schema, in git."""
    return project_root() / "data" / "published"


def notebooks() -> Path:
    return project_root() / "notebooks"


def book() -> Path:
    return project_root() / "book"


def studies() -> Path:
    return project_root() / "studies"


def cache() -> Path:
    """Work worth keeping that is nobody's out: downloads, packed images, checkpoints, features."""
    return Path(os.environ.get("CLIP_SCALING_CACHE") or project_root() / ".cache")

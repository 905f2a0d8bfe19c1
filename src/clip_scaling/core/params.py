"""params.yaml: which study `dvc repro` trains."""

import re

from . import paths
from .errors import UserError, short
from .files import write_text
from .study import load_yaml

_SAFE = re.compile(r"(?!-)[A-Za-z0-9._/@+-]+")
_HEAD = "# What `dvc repro` trains. `make repro STUDY=smoke` (or gpu, laion, path/of/my.yaml) sets both.\n"


def default_study() -> str:
    """The study file named in params.yaml. Raises UserError where there is none."""
    path = paths.project_root() / "params.yaml"
    content = load_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("study_file"), str):
        raise UserError("names no study_file", where=path, mend="add a line such as `study_file: studies/cpu.yaml`")
    return shell_safe(content["study_file"], where=path)


def shell_safe(word: str, *, where: object = None) -> str:
    """`word`, a path or the name of a stage. DVC hands it to a shell. Raises UserError where that would read more in it."""
    if not _SAFE.fullmatch(word):
        raise UserError(f"{short(word)!r} holds characters that a shell may obey", where=where,
                        mend="rename it, or move it to a folder, of letters, digits and . _ / @ + - (no - in front)")
    return word


def select_study(study: str, study_file: str) -> None:
    """Make `study` what `dvc repro` trains; params.yaml stays untouched where it says so already.

    Raises UserError for what a shell may obey.
    """
    path = paths.project_root() / "params.yaml"
    text = f"{_HEAD}study: {shell_safe(study)}\nstudy_file: {shell_safe(study_file)}\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)

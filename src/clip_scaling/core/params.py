"""params.yaml: which study `dvc repro` trains."""

from . import paths
from .errors import UserError
from .files import write_text
from .study import load_yaml

_HEAD = "# What `dvc repro` trains. `make repro STUDY=smoke` (or gpu, laion, path/of/my.yaml) sets both.\n"


def default_study() -> str:
    """The study file named in params.yaml. Raises UserError where there is none."""
    path = paths.project_root() / "params.yaml"
    content = load_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("study_file"), str):
        raise UserError("names no study_file", where=path, mend="add a line such as `study_file: studies/cpu.yaml`")
    return content["study_file"]


def select_study(study: str, study_file: str) -> None:
    """Make `study` what `dvc repro` trains; params.yaml stays untouched where it says so already."""
    path, text = paths.project_root() / "params.yaml", f"{_HEAD}study: {study}\nstudy_file: {study_file}\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)

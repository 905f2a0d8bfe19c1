"""Where a result comes from: commit, parameters, environment and input hashes; exported as RO-Crate metadata."""

import json
import subprocess
from pathlib import Path

import yaml

from .core import paths
from .core.errors import UserError
from .core.files import sha256, write_text
from .core.params import default_study
from .core.study import load_study

_CITATION = "https://arxiv.org/abs/2212.07143"


def add_arguments(parser) -> None:
    parser.add_argument("--study", help="study whose results are traced (default: as in params.yaml; also `published`)")
    parser.add_argument("--table", default="scores.csv", help="table of results/<study>/ to trace (default: %(default)s)")
    parser.add_argument("--crate", type=Path, metavar="FILE", help="write RO-Crate metadata of the whole repository there")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args) -> int:
    name = args.study or default_study()
    study = name if name == "published" else load_study(name).study
    if args.crate:
        write_text(args.crate, json.dumps(crate(paths.project_root()), indent=1, sort_keys=True) + "\n")
        return 0
    steps = trace(f"results/{study}/{args.table}")
    print(json.dumps(steps, indent=1) if args.json else "\n".join(map(_line, steps)))
    return 0


def lock() -> dict[str, dict]:
    """Stages of dvc.lock: command, parameters, and the hashes of what went in and came out. Raises UserError."""
    path = paths.project_root() / "dvc.lock"
    if not path.is_file():
        raise UserError("nothing was reproduced yet", where=path, mend="run `make repro`")
    return yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]


def trace(output: str) -> list[dict]:
    """The stages that made `output`, the last one first: stage, command, parameters, inputs and outputs with hashes.

    Raises UserError where no recorded stage made it.
    """
    stages, todo, steps = lock(), [output], []
    while todo:
        wanted = todo.pop(0)
        name = _maker(wanted, stages)
        if name is None or any(step["stage"] == name for step in steps):
            continue
        stage = stages[name]
        inputs = {dep["path"]: dep.get("md5", "") for dep in stage.get("deps", [])}
        steps.append({
            "stage": name, "command": stage["cmd"], "parameters": stage.get("params", {}), "inputs": inputs,
            "outputs": {out["path"]: out.get("md5", "") for out in stage.get("outs", [])},
        })
        todo += inputs
    if not steps:
        raise UserError("no recorded stage made it", where=output, mend="run `make repro` for this study")
    return [{"commit": _commit(), "table": output}, *steps]


def _maker(path: str, stages: dict[str, dict]) -> str | None:
    for name, stage in stages.items():
        for out in stage.get("outs", []):
            if path == out["path"] or path.startswith(out["path"] + "/"):
                return name
    return None


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40"], cwd=paths.project_root(), capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else "not under git"


def _line(step: dict) -> str:
    if "commit" in step:
        return f"{step['table']} at commit {step['commit']}"
    hashes = "".join(f"\n    {path}  {md5}" for path, md5 in step["inputs"].items())
    return f"{step['stage']}: {step['command']}{hashes}"


def crate(root: Path) -> dict:
    """RO-Crate 1.1 metadata of the committed tables: each file with hash and the stage that made it."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made = ROCrate()
    made.name = "clip-scaling-laws"
    made.description = "Reproducible artifact of 'Reproducible scaling laws for contrastive language-image learning'"
    made.license = "https://spdx.org/licenses/MIT"
    # The export must not change from one day to the next.
    made.root_dataset["datePublished"] = "2026-11-23"
    paper = made.add(ContextEntity(made, _CITATION, properties={
        "@type": "ScholarlyArticle", "name": "Reproducible scaling laws for contrastive language-image learning"}))
    made.root_dataset["citation"] = paper
    stages = lock() if (root / "dvc.lock").is_file() else {}
    for file in sorted([*root.glob("results/*/*.csv"), *root.glob("data/published/*.csv")]):
        path = file.relative_to(root).as_posix()
        properties = {"name": path, "encodingFormat": "text/csv", "sha256": sha256(file)}
        entity = made.add_file(file, dest_path=path, properties=properties)
        if name := _maker(path, stages):
            action = made.add(ContextEntity(made, f"#{name}", properties={
                "@type": "CreateAction", "name": stages[name]["cmd"],
                "object": [f"{dep['path']} md5:{dep.get('md5', '')}" for dep in stages[name].get("deps", [])]}))
            entity["wasGeneratedBy"] = action
    return made.metadata.generate()

"""Where a result comes from: commit, parameters, environment and input hashes; exported as RO-Crate metadata."""

import json
import subprocess
from pathlib import Path

from .core import paths
from .core.errors import UserError
from .core.files import read_json, sha256, write_text
from .core.params import default_study
from .core.schema import TIMINGS, read_table
from .core.study import load_study, load_yaml

_LARGEST_LOCK = 2 << 20  # bytes of dvc.lock
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
    content = load_yaml(path, most=_LARGEST_LOCK)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(map(_is_stage, stages.values())):
        raise UserError("is no lock of DVC's", where=path, mend="restore it from git, or run `make repro`")
    return stages


def _is_stage(stage: object) -> bool:
    """Whether a stage has a command, and deps and outs with their paths."""
    if not isinstance(stage, dict) or not isinstance(stage.get("cmd"), str) or not isinstance(stage.get("params", {}), dict):
        return False
    files = [stage.get("deps", []), stage.get("outs", [])]
    return all(isinstance(part, list) for part in files) and all(
        isinstance(file, dict) and isinstance(file.get("path"), str) and isinstance(file.get("md5", ""), str)
        for part in files for file in part)


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
    return [{"commit": _commit(output), "table": output, "environment": _environment(output)}, *steps]


def _maker(path: str, stages: dict[str, dict]) -> str | None:
    for name, stage in stages.items():
        for out in stage.get("outs", []):
            if path == out["path"] or path.startswith(out["path"] + "/"):
                return name
    return None


def _commit(output: str) -> str:
    """The commit that recorded `output` as it stands: not the present one, which may have nothing to do with it."""
    recorded = _git("log", "-1", "--format=%H", "--", output)
    if recorded is None:
        return "not under git"
    if not recorded:
        return "not committed"
    return f"{recorded} and changed since" if _git("status", "--porcelain", "--", output) else recorded


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=paths.project_root(), capture_output=True, text=True, errors="replace")
    except OSError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _environment(output: str) -> dict:
    """Machine and versions as the study's own records state them: {} where it has none."""
    folder, made = (paths.project_root() / output).parent, {}
    if (folder / "verification.json").is_file():
        try:
            report = read_json(folder / "verification.json")
            made = {"machine": report["machine"], "versions": report["versions"]}
        except (ValueError, KeyError, TypeError):
            raise UserError("is no record of verify's", where=folder / "verification.json", mend="run `make repro`") from None
    if (folder / "timings.csv").is_file():
        timings = read_table(folder / "timings.csv", TIMINGS)
        made |= {"trained_on": sorted(set(timings["device"])), "trained_with": sorted(set(timings["versions"]))}
    return made


def _line(step: dict) -> str:
    if "commit" in step:
        stated = "".join(f"\n    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in step["environment"].items())
        return f"{step['table']} at commit {step['commit']}{stated}"
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

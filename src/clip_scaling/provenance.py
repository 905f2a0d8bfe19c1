"""Where a result comes from: commit, parameters, environment and input hashes, of a table or of one row of it."""

import json
import subprocess
from pathlib import Path

import pandas as pd

from .core import paths
from .core.cells import read_cells
from .core.errors import UserError, short, shortlist
from .core.files import sha256, write_text
from .core.json_files import read_json
from .core.params import default_study
from .core.result_tables import RESULT_TABLES
from .core.schema import RUNS, TIMINGS, read_table
from .core.study import is_name, load_study, load_yaml, parse_yaml

_LARGEST_LOCK = 2 << 20  # bytes of dvc.lock
_MOST_ROWS = 20  # that are shown whole
_LONGEST_HEAD = 1000  # characters of a stage and its command
# Tables that a command of their own makes, outside the pipeline; what it reads, below data/<study>/.
_COMMANDS = {"tuning.csv": ("clip-scaling tune", ("pool", "subsets"))}


def add_arguments(parser) -> None:
    """The command's options; `run` reads what they make."""
    parser.add_argument("--study", help="study whose results are traced (default: as in params.yaml; also `published`)")
    parser.add_argument("--table", default="scores.csv", help="table of results/<study>/ to trace (default: %(default)s)")
    parser.add_argument("--run", metavar="NAME", help="trace this run's rows: its parameters, machine, versions and shards")
    parser.add_argument("--row", action="append", default=[], metavar="COLUMN=VALUE",
                        help="trace the rows that hold this value (may be repeated), such as dataset=icons or id=7")
    parser.add_argument("--crate", type=Path, metavar="FILE", help="write RO-Crate metadata of the whole repository there")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args) -> int:
    """Print what made a table, or rows of it, or write the crate; 0. Raises UserError where there is nothing to trace."""
    name = args.study or default_study()
    study = name if name == "published" else load_study(name).study
    if args.crate:
        from .crate import crate

        write_text(args.crate, json.dumps(crate(paths.project_root()), indent=1, ensure_ascii=False) + "\n")
        return 0
    steps = trace(f"results/{study}/{args.table}")
    wanted = _wanted(args.row) | ({"run": args.run} if args.run else {})
    if wanted:
        steps[0] |= row_of(study, args.table, wanted)
    print(json.dumps(steps, indent=1) if args.json else "\n".join(map(_text, steps)))
    return 0


def lock() -> dict[str, dict]:
    """Stages of dvc.lock: command, parameters, and the hashes of what went in and came out. Raises UserError."""
    path = paths.project_root() / "dvc.lock"
    if not path.is_file():
        raise UserError("nothing was reproduced yet", where=path, mend="run `make repro`")
    return _stages(load_yaml(path, most=_LARGEST_LOCK), path)


def _stages(content: object, where: object) -> dict[str, dict]:
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(name, str) and _is_stage(stage) for name, stage in stages.items()):
        raise UserError("is no lock of DVC's", where=where, mend="restore it from git, or run `make repro`")
    return stages


def _is_stage(stage: object) -> bool:
    """Whether a stage has a command, parameters by name, and deps and outs with their paths."""
    if not isinstance(stage, dict) or not isinstance(stage.get("cmd"), str) or not isinstance(stage.get("params", {}), dict):
        return False
    given = stage.get("params", {})
    names = [*given, *(name for part in given.values() if isinstance(part, dict) for name in part)]
    if not all(isinstance(name, str) for name in names):
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
    if Path(output).name in _COMMANDS and (paths.project_root() / output).is_file():
        steps.append(_by_command(Path(output)))
        todo += steps[0]["inputs"]
    while todo:
        wanted = todo.pop(0)
        name = maker(wanted, stages)
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
    return [{"commit": commit_of(output), "table": output, "environment": _environment(output)}, *steps]


def _by_command(output: Path) -> dict:
    """The step that made a table which no stage makes: settings from its rows, inputs as locked when it was recorded."""
    command, parts = _COMMANDS[output.name]
    study, commit = output.parent.name, git("log", "-1", "--format=%H", "--", output.as_posix())
    text = git("show", f"{commit}:dvc.lock") if commit else None
    stages = _stages(parse_yaml(text, where=f"dvc.lock at {commit}"), f"dvc.lock at {commit}") if text else {}
    read = {f"data/{study}/{part}" for part in parts}
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    inputs = {out["path"]: out.get("md5", "") for out in outs if out["path"] in read}
    rows = read_table(paths.project_root() / output, RESULT_TABLES[output.stem])
    settings = {name: sorted(set(rows[name].tolist())) for name in RESULT_TABLES[output.stem].key}
    return {"stage": output.stem, "command": f"{command} --study {study}", "parameters": settings,
            "inputs": inputs or dict.fromkeys(sorted(read), "not recorded"),
            "outputs": {output.as_posix(): f"sha256 {sha256(paths.project_root() / output)}"}}


def _wanted(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    bad = next((word for word, (name, sign, _) in zip(words, pairs) if not name or not sign), None)
    if bad is not None:
        raise UserError(f"--row {short(bad)!r} names no cell", mend="write COLUMN=VALUE, such as dataset=icons")
    return {name: value for name, _, value in pairs}


def row_of(study: str, table: str, wanted: dict[str, str]) -> dict:
    """The rows of results/<study>/<table> whose cells are `wanted`, and, where they are of one run, what made that run.

    {"matching": how many, "rows": the first of them, "run": see `run_of`}. Raises UserError where there is none.
    """
    path = paths.results(study) / table
    frame = read_cells(path)
    unknown = [name for name in wanted if name not in frame.columns]
    if unknown:
        raise UserError(f"has no column {shortlist(unknown)}", where=path, mend=f"it has {shortlist(frame.columns, 40)}")
    found = frame[(frame[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    if found.empty:
        said = ", ".join(f"{short(name)}={short(value)}" for name, value in wanted.items())
        raise UserError(f"has no row with {said}", where=path, mend="write values as they stand in the table")
    runs = set(found["run"]) if "run" in found.columns else set()
    made = {"matching": len(found), "rows": found.head(_MOST_ROWS).to_dict("records")}
    return made | ({"run": run_of(study, runs.pop())} if len(runs) == 1 else {})


def run_of(study: str, name: str) -> dict:
    """What made a run: its parameters, machine and versions, the shards it was trained on, and its record, with hashes."""
    folder = paths.results(study)
    runs = read_table(folder / "runs.csv", RUNS)
    row = runs[runs["run"] == name]
    if row.empty:
        raise UserError(f"has no run {short(name)!r}", where=folder / "runs.csv", mend="collect the study again")
    for part in (name, row["subset"].iloc[0]):  # before it is made a path, which would lead out of the study
        if not is_name(part):
            raise UserError(f"{short(part)!r} is no name of a run or subset", where=folder / "runs.csv",
                            mend="collect the study again")
    made = {"name": name, "parameters": _told(row), "environment": {}, "inputs": {}, "outputs": {}}
    if (folder / "timings.csv").is_file():
        timings = read_table(folder / "timings.csv", TIMINGS)
        made["environment"] = _told(timings[timings["run"] == name]) if name in set(timings["run"]) else {}
        manifest = paths.subsets(study) / f"{row['subset'].iloc[0]}.json"
        made["inputs"] = _shards(manifest)
    record = paths.runs(study) / name / "record.json"
    if record.is_file():
        made["outputs"] = {_relative(record): f"sha256 {sha256(record)}"}
    return made


def _told(row: pd.DataFrame) -> dict:
    """The cells of the only row, without empty ones and without what names it."""
    return {key: value for key, value in json.loads(row.to_json(orient="records", double_precision=15))[0].items()
            if value not in (None, "") and key not in ("study", "run")}


def _shards(manifest: Path) -> dict[str, str]:
    """SHA-256 of the manifest of a subset, and of each shard as it states them."""
    if not manifest.is_file():
        return {_relative(manifest): "not on this machine; stage train states the hash of its folder"}
    content = read_json(manifest, kind=dict)
    try:
        shards = {str(shard["path"]): f"sha256 {shard['sha256']}" for shard in content["shards"]}
    except (KeyError, TypeError):
        raise UserError("is no manifest of a subset", where=manifest, mend="run `clip-scaling subset` again") from None
    return {_relative(manifest): f"sha256 {sha256(manifest)}"} | shards


def _relative(path: Path) -> str:
    return path.relative_to(paths.project_root()).as_posix()


def maker(path: str, stages: dict[str, dict]) -> str | None:
    for name, stage in stages.items():
        for out in stage.get("outs", []):
            if path == out["path"] or path.startswith(out["path"] + "/"):
                return name
    return None


def commit_of(output: str) -> str:
    """The commit that recorded `output` as it stands: not the present one, which may have nothing to do with it."""
    recorded = git("log", "-1", "--format=%H", "--", output)
    if recorded is None:
        return "not under git"
    if not recorded:
        return "not committed"
    return f"{recorded} and changed since" if git("status", "--porcelain", "--", output) else recorded


def git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=paths.project_root(), capture_output=True, text=True, errors="replace")
    except OSError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _environment(output: str) -> dict:
    """Machine and versions as the study's own records state them: {} where it has none."""
    folder, made = (paths.project_root() / output).parent, {}
    if Path(output).name in _COMMANDS:  # timings are those of the study's own runs
        return made
    if (folder / "timings.csv").is_file():
        timings = read_table(folder / "timings.csv", TIMINGS)
        made |= {"trained_on": sorted(set(timings["device"])), "trained_with": sorted(set(timings["versions"]))}
    if (folder / "verification.json").is_file():
        report = read_json(folder / "verification.json", kind=dict, mend="run `make repro`")
        made |= {key: report[key] for key in ("compared_on", "compared_with") if key in report}
    return made


def _text(step: dict) -> str:
    """A step as people read it, without what a terminal would obey; `--json` has long values whole."""
    if "stage" in step:
        head = short(f"{step['stage']}: {step['command']}", _LONGEST_HEAD)
        return "\n".join([head, *_listed("parameters", _flat(step["parameters"])), *_listed("inputs", step["inputs"])])
    lines = [short(f"{step['table']} at commit {step['commit']}", _LONGEST_HEAD), *_listed("environment", step["environment"])]
    if "rows" in step:
        lines.append(f"  {step['matching']} rows" + (f", the first {_MOST_ROWS}" if step["matching"] > _MOST_ROWS else ""))
        lines += ["    " + ", ".join(f"{short(name)} {short(value, 160)}" for name, value in row.items() if value)
                  for row in step["rows"]]
    if run := step.get("run"):
        lines.append(f"run {run['name']}")
        for part in ("parameters", "environment", "inputs", "outputs"):
            lines += _listed(part, run[part])
    return "\n".join(lines)


def _listed(title: str, values: dict) -> list[str]:
    said = {name: one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for name, one in values.items()}
    return [f"  {title}", *(f"    {short(name, 160)}: {short(value, 160)}" for name, value in said.items())] if said else []


def _flat(parameters: dict) -> dict:
    """Parameters by name; those of a study's file lie one level down."""
    return {name: value for key, part in parameters.items()
            for name, value in (part.items() if isinstance(part, dict) else [(key, part)])}

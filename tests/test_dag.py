"""dvc.yaml is sound: a stage's dependencies cover all that its code imports, and no parameter is a branch."""

import ast
from pathlib import Path

import pytest
import yaml

from clip_scaling.cli import COMMANDS
from clip_scaling.core.errors import UserError
from clip_scaling.dag import columns, direct, edges, layers, mermaid, read_stages, svg, tracked, with_diagram

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"


def module_file(name: str) -> Path | None:
    base = SOURCE / Path(*name.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def imported(file: Path) -> set[str]:
    """Names of the package's modules that `file` imports anywhere, also inside functions."""
    package = list(file.relative_to(SOURCE).with_suffix("").parts)
    package = package if file.name == "__init__.py" and package.pop() else package[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            head = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*head, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("clip_scaling") and module_file(name)}


def closure(module: str) -> set[str]:
    """Source files, relative to the root, that running `module` may read."""
    todo, seen = [module], set()
    while todo:
        name = todo.pop()
        parts = name.split(".")
        for parent in (".".join(parts[: length + 1]) for length in range(len(parts))):
            file = module_file(parent)
            if file and file not in seen:
                seen.add(file)
                todo += imported(file)
    files = {file.relative_to(ROOT).as_posix() for file in seen}
    return files - {"src/clip_scaling/__init__.py"}  # a docstring and the version


def stages() -> dict[str, dict]:
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: body.get("do", body) for name, body in content.items()}


def code_deps(stage: dict) -> list[str]:
    return [dep for dep in stage["deps"] if dep.startswith("src/")]


@pytest.mark.parametrize("name", sorted(stages()))
def test_dependencies_cover_the_import_closure(name):
    stage = stages()[name]
    command = stage["cmd"].split()[1]
    modules = [COMMANDS[command][0], *notebook_modules(name)]
    files = set().union(*map(closure, modules))
    uncovered = {file for file in files if not any(file == dep or file.startswith(dep + "/") for dep in code_deps(stage))}
    assert not uncovered, f"stage {name} uses code that it does not depend on"


@pytest.mark.parametrize("name", sorted(stages()))
def test_no_dependency_on_code_that_is_not_used(name):
    stage = stages()[name]
    files = set().union(*map(closure, [COMMANDS[stage["cmd"].split()[1]][0], *notebook_modules(name)]))
    idle = [dep for dep in code_deps(stage) if not any(file == dep or file.startswith(dep + "/") for file in files)]
    assert not idle, f"stage {name} would rerun for code that it never uses"


def notebook_modules(stage: str) -> set[str]:
    """Modules that the executed notebooks import: those are code of stage `figure`."""
    if stage != "figure":
        return set()
    import nbformat

    found = set()
    for path in (ROOT / "notebooks").glob("[!e]*.ipynb"):
        code = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("clip_scaling") and module_file(name)}


def test_every_dependency_is_there_or_made_by_a_stage():
    known = read_stages(ROOT / "dvc.yaml")
    outs = [out for stage in known.values() for out in stage["outs"]]
    for name, stage in known.items():
        for dep in stage["deps"]:
            made = any(out == dep or out.startswith(dep + "/") or dep.startswith(out + "/") for out in outs)
            assert made or (ROOT / dep).exists(), f"{name}: {dep}"


def test_tracked_parameters_are_leaves():
    for name, stage in stages().items():
        for entry in stage.get("params", []):
            for key in next(iter(entry.values())):
                for study in (ROOT / "studies").glob("*.yaml"):
                    value = yaml.safe_load(study.read_text(encoding="utf-8"))
                    for part in key.split("."):
                        value = value[part]
                    # DVC leaves keys `size` and `nfiles` of a mapping out of its comparison.
                    assert not isinstance(value, dict), (name, key)
                    assert not _has_key(value, {"size", "nfiles"}), (name, key)


def _has_key(value, names: set[str]) -> bool:
    if isinstance(value, dict):
        return bool(names & set(value)) or any(_has_key(part, names) for part in value.values())
    return isinstance(value, list) and any(_has_key(part, names) for part in value)


SECTIONS = ("prepare", "subset", "train", "evaluate", "fit")
# How a site runs a grid, not what comes of it.
UNTRACKED = {"train.cluster"}


def read_fields(file: Path) -> set[str]:
    """Fields of the study that a file reads: `study.section.field`, and `name.field` where `name = study.section`."""
    found: set[str] = set()
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        aliases = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                pairs = ([(node.targets[0], node.value)] if isinstance(node.targets[0], ast.Name) else
                         zip(getattr(node.targets[0], "elts", []), getattr(node.value, "elts", [])))
                aliases |= {name.id: field for name, value in pairs if isinstance(name, ast.Name) and (field := field_of(value, {}))}
        chains = {field for node in ast.walk(function) if (field := field_of(node, aliases))}
        found |= {field for field in chains if "." in field and not any(other.startswith(f"{field}.") for other in chains)}
    return found


def field_of(node: ast.AST, aliases: dict[str, str]) -> str | None:
    parts = []
    while isinstance(node, ast.Attribute):
        if node.attr != "model_dump":  # a section's method, no field
            parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or not parts:
        return None
    if node.id in aliases:
        return ".".join([aliases[node.id], *parts])
    parts.insert(0, node.id)
    place = next((place for place, part in enumerate(parts[:-1]) if part in ("study", "_study") and parts[place + 1] in SECTIONS), None)
    return None if place is None else ".".join(parts[place + 1:])


@pytest.mark.parametrize("name", sorted(stages()))
def test_every_field_that_a_stage_reads_is_tracked(name):
    command = COMMANDS[stages()[name]["cmd"].split()[1]][0]
    fields = set().union(*(read_fields(ROOT / file) for file in closure(command)))
    known = tracked(ROOT / "dvc.yaml")[name]
    lost = {field for field in fields if not any(field == one or field.startswith(one + ".") for one in (*known, *UNTRACKED))}
    assert not lost, f"stage {name} reads fields of the study whose change would go unseen"
    # Whole sections handed on: what is read of them is read elsewhere by that name.
    idle = [one for one in known if one != "study" and one.split(".")[0] not in {field.split(".")[0] for field in fields}]
    assert not idle, f"stage {name} would rerun for sections that it never reads"


def test_the_reading_of_fields_sees_what_there_is():
    command = {name: set().union(*(read_fields(ROOT / file) for file in closure(COMMANDS[name][0]))) for name in ("prepare", "train", "fit")}
    assert {"prepare.evaluation", "evaluate.zeroshot", "subset.subsets", "prepare.vocabulary"} <= command["prepare"]
    assert {"train.batch_size", "train.runs", "prepare.source", "train.cluster.watts_per_gpu"} <= command["train"]
    assert command["fit"] == {"fit.forms", "fit.bootstrap", "fit.targets"}


def test_stages_command_and_module_bear_one_name():
    for name, stage in stages().items():
        assert stage["cmd"].split()[:1] == ["clip-scaling"] and stage["desc"], name
        if name in COMMANDS:
            assert stage["cmd"].split()[1] == name


def test_drawing():
    known = read_stages(ROOT / "dvc.yaml")
    depth = layers(known)
    assert depth["prepare"] < depth["subset"] < depth["train"] < depth["evaluate"] < depth["collect"]
    assert depth["collect"] < depth["fit@<study>"] < depth["figure@<study>"] < depth["book"]
    assert all(name in svg(known).replace("&lt;", "<").replace("&gt;", ">") for name in known)
    text = "a\n<!-- dag: written by `clip-scaling dag --write` -->\nold\n<!-- end of dag -->\nb"
    assert with_diagram(with_diagram(text, mermaid(known)), mermaid(known)).count("flowchart") == 1
    with pytest.raises(UserError, match="circle"):
        layers({"a": {"deps": ["x"], "outs": ["y"]}, "b": {"deps": ["y"], "outs": ["x"]}})


def test_readme_and_book_show_the_present_pipeline():
    known = read_stages(ROOT / "dvc.yaml")
    assert mermaid(known) in (ROOT / "README.md").read_text(encoding="utf-8"), "run clip-scaling dag --write"
    assert (ROOT / "book/chapters/_static/dag.svg").read_text(encoding="utf-8") == svg(known), "run clip-scaling dag --write"


def test_a_need_that_follows_from_others_is_not_drawn():
    assert direct([("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]) == [("a", "b"), ("b", "c"), ("d", "c")]


def test_no_arrow_of_the_diagram_runs_through_a_box():
    pipeline = read_stages(ROOT / "dvc.yaml")
    row, column = layers(pipeline), columns(pipeline)
    places = {(column[name], row[name]) for name in pipeline}
    assert len(places) == len(pipeline)
    for start, end in direct(edges(pipeline)):
        assert not {(column[start], between) for between in range(row[start] + 1, row[end])} & places, (start, end)

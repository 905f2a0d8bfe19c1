"""RO-Crate 1.1 metadata: what the repository holds, what made each result of what, who, and on which terms."""

import json
import re
from pathlib import Path

from .core.errors import UserError
from .core.files import sha256
from .core.study import load_yaml
from .provenance import commit_of, git, lock, maker

METADATA = "ro-crate-metadata.json"
_PROFILE = "https://w3id.org/ro/crate/1.1"
_LICENCE = "https://spdx.org/licenses/MIT"
_PUBLISHED = "2026-11-23"  # the export must not change from one day to the next
_PATTERNS = ("results/*/*.csv", "results/*/*.json", "results/*/tables/*.csv", "data/published/*.csv", "reference/*/*",
             "studies/*.yaml", "params.yaml", "dvc.yaml", "dvc.lock", "constraints.txt", "README.md",
             "CITATION.cff", "LICENSE")
_FORMATS = {".csv": "text/csv", ".json": "application/json", ".yaml": "application/yaml", ".md": "text/markdown"}
_SOFTWARE = ("numpy", "scipy", "pandas", "torch", "open_clip_torch", "altair", "jupyter-book", "dvc")


def crate(root: Path) -> dict:
    """The metadata as JSON-LD: files with hash and commit, a CreateAction a stage, parameters, software, authors, licence.

    Files are those that git holds (without git: all that are there), so that two machines make the same crate.
    """
    stages = lock() if (root / "dvc.lock").is_file() else {}
    parts, others = {name: _file(root / name, name) for name in _files(root)}, {}
    actions = {made["@id"]: made for made in (_action(name, root, parts, others, stages) for name in stages)}
    cited, software = _cited(root), _software(root)
    source = {"@id": "#source", "@type": "SoftwareSourceCode", "name": "clip-scaling-laws",
              "version": git("rev-parse", "HEAD") or "not under git", "programmingLanguage": "Python",
              "license": _id(_LICENCE), "softwareRequirements": [_id(part) for part in software]}
    whole = {
        "@id": "./", "@type": "Dataset", "name": "clip-scaling-laws", "datePublished": _PUBLISHED, "license": _id(_LICENCE),
        "description": "Reproducible artifact of 'Reproducible scaling laws for contrastive language-image learning'",
        "author": [_id(name) for name in cited["authors"]], "citation": [_id(name) for name in cited["papers"]],
        "hasPart": [_id(name) for name in parts], "mentions": [_id(name) for name in ("#source", *actions)],
    }
    about = {"@id": METADATA, "@type": "CreativeWork", "about": _id("./"), "conformsTo": _id(_PROFILE)}
    licence = {"@id": _LICENCE, "@type": "CreativeWork", "name": "MIT License"}
    entities = [about, whole, licence, source, *software.values(), *cited["authors"].values(), *cited["papers"].values(),
                *cited["people"].values(), *parts.values(), *actions.values(), *others.values()]
    return {"@context": f"{_PROFILE}/context", "@graph": entities}


def _id(name: str) -> dict[str, str]:
    return {"@id": name}


def _local(*words: str) -> str:
    """An identifier within the crate, of a thing that is no file of it."""
    return "#" + re.sub(r"[^\w./@-]+", "-", "/".join(words))


def _files(root: Path) -> list[str]:
    there = {path for pattern in _PATTERNS for path in root.glob(pattern) if path.is_file()}
    found = sorted(path.relative_to(root).as_posix() for path in there)
    held = git("ls-files", "-z")
    return found if held is None else [name for name in found if name in set(held.split("\0"))]


def _file(path: Path, name: str) -> dict:
    return {"@id": name, "@type": "File", "name": name, "encodingFormat": _FORMATS.get(path.suffix, "text/plain"),
            "contentSize": str(path.stat().st_size), "sha256": sha256(path), "version": commit_of(name)}


def _action(name: str, root: Path, parts: dict, others: dict, stages: dict) -> dict:
    """A stage as CreateAction; what it reads or writes beside the crate's files joins `parts` (folders) or `others`."""
    stage = stages[name]

    def thing(file: dict) -> dict[str, str]:
        path, held = file["path"], root / file["path"]
        if path in parts:
            return _id(path)
        if maker(path, stages) is None and held.is_dir():
            parts.setdefault(f"{path}/", {"@id": f"{path}/", "@type": "Dataset", "name": path, **_hash(file)})
            return _id(f"{path}/")
        if maker(path, stages) is None and held.is_file():
            parts[path] = _file(held, path)
            return _id(path)
        # What a stage makes and git does not hold is no part of the repository, whether on this machine or not.
        others.setdefault(_local(path), {"@id": _local(path), "@type": "CreativeWork", "name": path, **_hash(file)})
        return _id(_local(path))

    return {
        "@id": _local("stage", name), "@type": "CreateAction", "name": f"{name}: {stage['cmd']}",
        "instrument": _id("#source"),
        "object": [*map(thing, stage.get("deps", [])), *_parameters(name, stage.get("params", {}), others)],
        "result": [thing(out) for out in stage.get("outs", [])] + _within(stage, parts),
    }


def _within(stage: dict, parts: dict) -> list[dict[str, str]]:
    """Files of the crate that lie in a folder which the stage writes."""
    folders = tuple(f"{out['path']}/" for out in stage.get("outs", []))
    return [_id(name) for name in parts if folders and name.startswith(folders)]


def _hash(file: dict) -> dict[str, str]:
    return {"identifier": f"md5:{file['md5']}"} if file.get("md5") else {}


def _parameters(stage: str, given: dict, others: dict) -> list[dict[str, str]]:
    made = []
    for file, values in given.items():
        for key, value in (values.items() if isinstance(values, dict) else [(file, values)]):
            name = _local("parameter", stage, key)
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            others[name] = {"@id": name, "@type": "PropertyValue", "name": f"{file}: {key}", "value": text}
            made.append(_id(name))
    return made


def _software(root: Path) -> dict[str, dict]:
    pins = root / "constraints.txt"
    try:
        lines = pins.read_text(encoding="utf-8").splitlines() if pins.is_file() else []
    except UnicodeDecodeError as error:
        raise UserError(f"is no UTF-8 text ({error})", where=pins, mend="restore it from git") from None
    found = dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    return {_local("software", name): {"@id": _local("software", name), "@type": "SoftwareApplication", "name": name,
                                       "version": found[name]} for name in _SOFTWARE if name in found}


def _cited(root: Path) -> dict[str, dict[str, dict]]:
    """Authors of the artifact, the paper and its authors, as CITATION.cff has them. Raises UserError."""
    file = root / "CITATION.cff"
    stated = load_yaml(file) if file.is_file() else {}
    try:
        names = [one["name"] for one in stated.get("authors", [])]
        authors = {_local("author", name): {"@type": "Organization", "name": name} for name in names}
        papers, people = {}, {}
        for paper in stated.get("references", []):
            names = [f"{_word(one['given-names'])} {_word(one['family-names'])}" for one in paper["authors"]]
            people |= {_local("person", name): {"@type": "Person", "name": name} for name in names}
            address = next(one["value"] for one in paper["identifiers"] if one["value"].startswith("arXiv:"))
            papers[f"https://arxiv.org/abs/{address.removeprefix('arXiv:')}"] = {
                "@type": "ScholarlyArticle", "name": _word(paper["title"]), "datePublished": _word(paper["year"]),
                "author": [_id(_local("person", name)) for name in names]}
    except (AttributeError, KeyError, TypeError, StopIteration):
        raise UserError("names no authors and paper as expected", where=file, mend="restore it from git") from None
    return {kind: {name: {"@id": name, **part} for name, part in entries.items()}
            for kind, entries in (("authors", authors), ("papers", papers), ("people", people))}


def _word(value: object) -> str:
    """A word or whole number as text. Raises TypeError for anything else, which would only look like a name."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no word")
    return str(value)

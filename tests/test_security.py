"""SECURITY.md names the dependencies that read what strangers wrote, in the versions that are pinned."""

import re
import tomllib

import pytest


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def pins(root):
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonical(name): version for name, found, version in (line.partition("==") for line in lines) if found}


@pytest.fixture(scope="module")
def named(root):
    """Versions by name in the table of what is read by what."""
    table = (root / "SECURITY.md").read_text(encoding="utf-8").split("| what is read | by |\n|---|---|\n")[1].split("\n\n")[0]
    found = [entry.split() for line in table.splitlines() for entry in line.strip("| ").split(" | ")[1].split(", ")]
    return {canonical(name): version for name, version in found}


def test_versions_are_the_pinned_ones(named, pins):
    assert len(named) > 60 and named == {name: pins.get(name, "not pinned") for name in named}


def test_each_dependency_of_the_project_is_named(root, named):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group)]
    others = (root / "SECURITY.md").read_text(encoding="utf-8").split("Others that `pyproject.toml` asks for")[1].split("\n\n")[0]
    known = set(named) | {canonical(word) for word in re.findall(r"[\w.-]+\w", others)}
    assert {canonical(re.match(r"[\w.-]+", one)[0]) for one in asked} <= known


@pytest.mark.parametrize("name", ["resvg-py", "ftfy", "regex", "tokenizers", "pillow", "pyyaml", "torch", "nbformat", "markdown-it-py"])
def test_readers_of_untrusted_input_are_named(named, name):
    assert name in named

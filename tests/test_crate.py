"""RO-Crate 1.1 metadata: its basic rules, and what it says of stages, parameters, software, authors and licence."""

import hashlib
import json
import shutil

import pytest

from clip_scaling.crate import METADATA


@pytest.fixture(scope="module")
def entities(root, tmp_path_factory):
    from clip_scaling.cli import main

    path = tmp_path_factory.mktemp("crate") / METADATA
    assert main(["provenance", "--crate", str(path)]) == 0
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["@context"] == "https://w3id.org/ro/crate/1.1/context"
    listed = document["@graph"]
    made = {entity["@id"]: entity for entity in listed}
    assert len(made) == len(listed), "an identifier stands twice"
    return made


def references(value):
    """Every {"@id": ...} within a value."""
    if isinstance(value, dict):
        yield from [value["@id"]] if set(value) == {"@id"} else ()
        yield from (found for part in value.values() for found in references(part))
    elif isinstance(value, list):
        yield from (found for part in value for found in references(part))


def test_descriptor_and_root(entities):
    about, whole = entities[METADATA], entities["./"]
    assert about["@type"] == "CreativeWork" and about["about"] == {"@id": "./"}
    assert about["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert whole["@type"] == "Dataset" and whole["name"] and whole["description"] and whole["datePublished"]
    assert whole["license"] == {"@id": "https://spdx.org/licenses/MIT"}


def test_every_reference_resolves(entities):
    known = {*entities, "https://w3id.org/ro/crate/1.1"}
    assert not {name for entity in entities.values() for name in references(list(entity.values()))} - known
    assert all(entity.get("@type") and isinstance(entity["@id"], str) for entity in entities.values())


def test_data_entities_are_there_and_are_parts(entities, root):
    data = {name for name, entity in entities.items() if entity["@type"] in ("File", "Dataset") and name != "./"}
    assert data == set(references(entities["./"]["hasPart"])) and len(data) > 80
    for name in data:
        path, entity = root / name, entities[name]
        assert path.is_dir() if name.endswith("/") else path.is_file(), name
        if entity["@type"] == "File":
            assert entity["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and entity["contentSize"] == str(path.stat().st_size)
            assert entity["version"] and entity["encodingFormat"]
    assert {"results/cpu/scores.csv", "results/cpu/tuning.csv", "results/published/laws.csv", "LICENSE", "dvc.lock"} <= data


def test_each_stage_is_an_action_with_objects_results_and_parameters(entities):
    actions = {name: entity for name, entity in entities.items() if entity["@type"] == "CreateAction"}
    assert {"#stage/train", "#stage/collect", "#stage/fit@published", "#stage/book"} <= set(actions)
    for action in actions.values():
        assert action["object"] and action["result"] and action["instrument"] == {"@id": "#source"}
        assert all(set(part) == {"@id"} for part in action["object"] + action["result"])
    assert {"@id": "results/cpu/scores.csv"} in actions["#stage/collect"]["result"]
    assert {"@id": "results/published/tables/table01.csv"} in actions["#stage/published"]["result"]
    batch = entities["#parameter/train/train.batch_size"]
    assert batch["@type"] == "PropertyValue" and batch["value"] == "128" and {"@id": batch["@id"]} in actions["#stage/train"]["object"]
    assert entities["#data/cpu/subsets"]["identifier"].startswith("md5:")
    assert set(actions) < set(references(entities["./"]["mentions"]))


def test_who_and_with_what(entities):
    source, whole = entities["#source"], entities["./"]
    assert len(source["version"]) == 40 or source["version"] == "not under git"
    software = [entities[name] for name in references(source["softwareRequirements"])]
    assert {"numpy", "torch", "open_clip_torch"} <= {one["name"] for one in software} and all(one["version"] for one in software)
    paper = entities[next(references(whole["citation"]))]
    assert paper["@id"] == "https://arxiv.org/abs/2212.07143" and paper["datePublished"] == "2023"
    assert [entities[name]["name"] for name in references(paper["author"])][:2] == ["Mehdi Cherti", "Romain Beaumont"]
    assert entities[next(references(whole["author"]))]["name"]


def test_another_implementation_reads_it(root, tmp_path, clip_scaling):
    rocrate = pytest.importorskip("rocrate.rocrate")
    for name in ("results/cpu", "data/published"):
        shutil.copytree(root / name, tmp_path / name)
    assert clip_scaling("provenance", "--crate", tmp_path / METADATA).code == 0
    read = rocrate.ROCrate(tmp_path)
    assert read.root_dataset["citation"][0].id == "https://arxiv.org/abs/2212.07143" and len(read.data_entities) > 80
    assert read.dereference("#stage/collect")["instrument"].id == "#source"


def test_without_git_and_lock_it_holds_what_is_there(root, tmp_path, monkeypatch, clip_scaling):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("params.yaml", "studies/cpu.yaml", "CITATION.cff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    assert clip_scaling("provenance", "--crate", tmp_path / METADATA).code == 0
    named = {entity["@id"]: entity for entity in json.loads((tmp_path / METADATA).read_text())["@graph"]}
    assert named["params.yaml"]["version"] == "not under git" and "#stage/train" not in named


PAPER = "references: [{{title: {}, year: {}, authors: [{{given-names: {}, family-names: {}}}], identifiers: [{{value: {}}}]}}]"
PAPERS = [PAPER.format(*words) for words in (
    ("[a]", 2022, "g", "f", "arXiv:1"), ("null", 2022, "g", "f", "arXiv:1"), ("{1: 2}", 2022, "g", "f", "arXiv:1"), (".nan", 2022, "g", "f", "arXiv:1"),
    ("t", "[1]", "g", "f", "arXiv:1"), ("t", "null", "g", "f", "arXiv:1"), ("t", 2022, "[1]", "f", "arXiv:1"), ("t", 2022, "g", "{a: b}", "arXiv:1"),
    ("t", 2022, "null", "f", "arXiv:1"), ("t", 2022, "g", "f", 1), ("t", 2022, "g", "f", "doi"), ('"\\ud800"', 2022, "g", "f", "arXiv:1"))]


@pytest.mark.parametrize("text", [*PAPERS, "", 'authors: [{name: "\\ud800"}]', "authors: [{name: 1}]", "authors: [{name: !!str a}]", b"\xff", "[]", "authors: 1", "authors: [{}]", "references: [{}]", "references: [{authors: [], identifiers: []}]",
                                  "authors: [1]", "a: &x 1\nb: *x", "{"])
def test_a_broken_citation_is_a_sentence(root, tmp_path, monkeypatch, clip_scaling, text):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    (tmp_path / "studies").mkdir()
    for name in ("params.yaml", "studies/cpu.yaml"):
        shutil.copy(root / name, tmp_path / name)
    (tmp_path / "CITATION.cff").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = clip_scaling("provenance", "--crate", tmp_path / METADATA)
    assert done.code == 2 and "CITATION.cff" in done.err and done.err.count("\n") == 1 and not (tmp_path / METADATA).exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", "numpy==2.0\n".encode("utf-16"), b"numpy==2.0  # \xe9\n"])
def test_pins_that_are_no_text_are_a_sentence(root, tmp_path, monkeypatch, clip_scaling, content):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    (tmp_path / "studies").mkdir()
    for name in ("params.yaml", "studies/cpu.yaml"):
        shutil.copy(root / name, tmp_path / name)
    (tmp_path / "constraints.txt").write_bytes(content)
    done = clip_scaling("provenance", "--crate", tmp_path / METADATA)
    assert done.code == 2 and "constraints.txt: is no UTF-8" in done.err and done.err.count("\n") == 1 and not (tmp_path / METADATA).exists()


def test_make_and_readme_lead_to_it(root):
    assert "crate: " in (root / "Makefile").read_text() and "| `make crate` |" in (root / "README.md").read_text()

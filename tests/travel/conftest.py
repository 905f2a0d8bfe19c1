"""The tiny project of the training tests, with sets to evaluate on; bare folders with its study file alone."""

import shutil
from pathlib import Path

import pytest
import yaml
from noise_sets import write_noise_set
from train.conftest import RUNS, write_project

NAMES = ("home", "arrow", "ring")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "here"
    root.mkdir()
    write_project(root, RUNS)
    for seed, name in enumerate(("icons", "others")):
        folder = root / "data" / "tiny" / "pool" / "evaluation" / name
        write_noise_set(folder, NAMES, ("train", "test"), images=36, seed=seed)
    path = root / "studies" / "tiny.yaml"
    content = yaml.safe_load(path.read_text())
    content["evaluate"].update(zeroshot=["icons"], linear_probe=["icons"])
    content["evaluate"]["fine_tune"].update(
        runs=["ViT-XXS-8_small_640_s0"], task="icons", shifts=["others"], joint=["icons"], control="others", iterations=3)
    path.write_text(yaml.safe_dump(content))
    enter(monkeypatch, root)
    return root


@pytest.fixture
def bare(project, tmp_path, monkeypatch):
    """Make a folder that holds the study file and nothing else, and go there."""

    def make(name: str) -> Path:
        root = tmp_path / name
        shutil.copytree(project / "studies", root / "studies")
        (root / "dvc.yaml").touch()
        enter(monkeypatch, root)
        return root

    return make


def enter(monkeypatch, root: Path) -> None:
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(root))
    monkeypatch.delenv("CLIP_SCALING_CACHE", raising=False)

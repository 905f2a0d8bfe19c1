"""The tiny project of the training tests, with sets to evaluate on; bare folders with its study file alone."""

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from train.conftest import RUNS, write_project

NAMES = ("home", "arrow", "ring")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "here"
    root.mkdir()
    write_project(root, RUNS)
    for seed, name in enumerate(("icons", "others")):
        _classes(root / "data" / "tiny" / "pool" / "evaluation" / name, seed)
    path = root / "studies" / "tiny.yaml"
    content = yaml.safe_load(path.read_text())
    content["evaluate"].update(zeroshot=["icons"], linear_probe=["icons"])
    content["evaluate"]["fine_tune"].update(
        runs=["ViT-XXS-8_small_640_s0"], task="icons", shifts=["others"], joint=["icons"], control="others", iterations=3)
    path.write_text(yaml.safe_dump(content))
    enter(monkeypatch, root)
    return root


def _classes(folder: Path, seed: int) -> None:
    """Three classes of noise, in a train and a test split."""
    rng = np.random.default_rng(seed)
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        with tarfile.open(folder / split / "0.tar", "w") as tar:
            for number in range(36):
                image = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(image, "PNG")
                for kind, content in (("png", image.getvalue()), ("cls", str(number % 3).encode())):
                    member = tarfile.TarInfo(f"{number:06d}.{kind}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    (folder / "classnames.txt").write_text("\n".join(NAMES) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("{c}\na {c} icon\n")


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

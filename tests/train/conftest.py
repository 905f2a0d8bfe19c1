"""A tiny project with synthetic shards in the pipeline's own layout."""

import functools
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from clip_scaling.core.study import load_study

WORDS = "red green blue circle square bar cross ring home arrow icon outline filled".split()
MERGES = ["r e", "re d</w>", "g r", "b a", "ba r</w>", "c i", "r i", "i n"]


@functools.lru_cache
def shard(samples: int, seed: int, size: int = 32) -> bytes:
    """A tar of noise images with captions of known words."""
    rng, content = np.random.default_rng(seed), io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for number in range(samples):
            image = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(image, "PNG", compress_level=0)
            caption = " ".join(rng.choice(WORDS, rng.integers(1, 7)))
            for kind, data in (("png", image.getvalue()), ("txt", caption.encode()), ("json", b"{}")):
                member = tarfile.TarInfo(f"s{seed}-{number:05d}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def write_shard(path: Path, samples: int, seed: int) -> dict:
    path.write_bytes(shard(samples, seed))
    return {"path": path.name, "sha256": hashlib.sha256(shard(samples, seed)).hexdigest(), "samples": samples}


def write_project(root: Path, runs: list[dict], **train) -> str:
    """Two nested subsets, 96 and 288 pairs, and a study file; returns the file's path."""
    (root / "dvc.yaml").touch()
    tokenizer = root / "data" / "tiny" / "pool" / "tokenizer" / "bpe.txt.gz"
    tokenizer.parent.mkdir(parents=True)
    tokenizer.write_bytes(gzip.compress(("#version\n" + "\n".join(MERGES) + "\n").encode(), mtime=0))
    subsets = root / "data" / "tiny" / "subsets"
    subsets.mkdir(parents=True)
    shards = [write_shard(subsets / f"{number:05d}.tar", 96, number) for number in range(3)]
    for name, count in (("small", 1), ("large", 3)):
        content = {"name": name, "family": "icons", "samples": 96 * count, "shards": shards[:count],
                   "tokenizer": "../pool/tokenizer/bpe.txt.gz"}
        (subsets / f"{name}.json").write_text(json.dumps(content))
    study = {
        "study": "tiny", "title": "Tiny",
        "prepare": {"source": "fixture", "image_size": 32, "vocabulary": 8, "seed": 0},
        "subset": {"shard_samples": 96, "subsets": [
            {"name": "small", "family": "icons", "samples": 96}, {"name": "large", "family": "icons", "samples": 288}]},
        "train": {
            "engine": "embedded", "batch_size": 32, "precision": "fp32", "warmup_fraction": 0.1, "weight_decay": 0.1,
            "beta1": 0.9, "beta2": 0.98, "gradient_clip": 1.0, "augment_shift": 2,
            "architectures": [
                {"name": "ViT-XXS-8", "learning_rate": 0.003, "token_embedding_lr_scale": 5},
                {"name": "ViT-XS-8", "learning_rate": 0.003, "token_embedding_lr_scale": 5}],
            "runs": runs, **train},
        "evaluate": {"zeroshot": [], "retrieval": [], "linear_probe": [], "fine_tune": {"runs": [], "iterations": 1, "batch_size": 32}},
        "fit": {"forms": ["power"], "bootstrap": 100, "targets": []},
    }
    path = root / "studies" / "tiny.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(study))
    return str(path)


RUNS = [
    {"architecture": "ViT-XXS-8", "subset": "large", "samples_seen": 1280},
    {"architecture": "ViT-XXS-8", "subset": "small", "samples_seen": 640},
]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.delenv("CLIP_SCALING_CACHE", raising=False)
    write_project(tmp_path, RUNS)
    return tmp_path


@pytest.fixture
def specs(project) -> list:
    from clip_scaling.train.spec import run_specs

    return run_specs(load_study(str(project / "studies" / "tiny.yaml")))


@pytest.fixture
def spec(specs):
    return specs[0]

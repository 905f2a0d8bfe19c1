"""A tiny study for the cluster engine: shards of coloured squares, a tokenizer of a few merges, two runs."""

import gzip
import io
import json
import tarfile

from clip_scaling.core import paths
from clip_scaling.core.files import sha256
from clip_scaling.core.study import Study

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220), "white": (240, 240, 240)}


def write_shard(path, number, samples=64):
    """A tar as img2dataset writes it: key.jpg, key.txt, key.json."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for index in range(samples):
            key, name = f"{number:05d}{index:04d}", list(COLOURS)[index % len(COLOURS)]
            picture = io.BytesIO()
            Image.new("RGB", (40 + index % 7, 36), COLOURS[name]).save(picture, "JPEG")
            for kind, body in (("jpg", picture.getvalue()), ("json", json.dumps({"key": key}).encode()),
                               ("txt", f"a {name} square".encode())):
                info = tarfile.TarInfo(f"{key}.{kind}")
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))


def write_tokenizer(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    merges = ["r e", "re d</w>", "s q", "b l", "bl u", "blu e</w>"]
    path.write_bytes(gzip.compress(("#version\n" + "\n".join(merges) + "\n").encode(), mtime=0))


def write_subset(study="tiny", name="all", shards=4, samples=64, **extra):
    folder = paths.subsets(study)
    entries = []
    for number in range(shards):
        path = folder / f"{number:05d}.tar"
        write_shard(path, number, samples)
        entries.append({"path": path.name, "sha256": sha256(path), "samples": samples})
    tokenizer = paths.pool(study) / "tokenizer" / "bpe.txt.gz"
    write_tokenizer(tokenizer)
    manifest = {"name": name, "family": "squares", "samples": shards * samples, "shards": entries,
                "tokenizer": str(tokenizer), **extra}
    (folder / f"{name}.json").write_text(json.dumps(manifest))
    return manifest


def forget_hashes(study="tiny", name="all"):
    """A manifest that states no SHA-256, as of a pool too large to hash."""
    path = paths.subsets(study) / f"{name}.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"shards": [shard | {"sha256": None} for shard in content["shards"]]}))


def tiny_study(runs=None, **cluster):
    """Two runs of 2 and 3 epochs on 2 processes."""
    runs = runs or [{"architecture": "ViT-XXS-8", "subset": "all", "samples_seen": 256 * epochs, "epochs": epochs,
                     "samples_per_epoch": 256, "gpus": 2} for epochs in (2, 3)]
    return Study.model_validate({
        "study": "tiny", "title": "Squares",
        "prepare": {"source": "shards", "image_size": 32, "vocabulary": 6, "seed": 0},
        "subset": {"shard_samples": 64, "subsets": [{"name": "all", "family": "squares", "samples": 256}]},
        "train": {
            "engine": "cluster", "batch_size": 32, "precision": "fp32", "warmup_fraction": 0.1, "weight_decay": 0.1,
            "beta1": 0.9, "beta2": 0.98, "gradient_clip": 1.0, "augment_shift": 0,
            "cluster": {"device": "cpu", "workers": 1, "time_limit_minutes": 60, "cpus_per_task": 1, **cluster},
            "architectures": [{"name": "ViT-XXS-8", "learning_rate": 0.003}], "runs": runs,
        },
        "evaluate": {"zeroshot": [], "retrieval": [], "linear_probe": [],
                     "fine_tune": {"runs": [], "iterations": 1, "batch_size": 1}},
        "fit": {"forms": ["power"], "bootstrap": 100, "targets": []},
    })

"""A tiny pool of photographs as img2dataset would leave it, to try every step of the paper-scale chapter on.

`python -m clip_scaling.subset.at_scale_tiny FOLDER` writes FOLDER/shards (tars with Parquet metadata beside) and
FOLDER/evaluation/photographs (CLIP_benchmark's layout). Pictures are crops of scikit-learn's two sample photographs
(china.jpg by Kenny Louie, flower.jpg by dultor; Creative Commons Attribution): enough to see that things work, no more.
"""

import argparse
import io
import json
import tarfile
from pathlib import Path

import numpy as np

CLASSES = {"china.jpg": "temple", "flower.jpg": "flower"}
_CAPTIONS = ("a photograph of a {}", "part of a {}", "{}, seen from near", "my picture of the {}")


def write_pool(folder: Path, *, shards: int = 8, pairs: int = 256, failed: int = 24, seed: int = 0) -> None:
    """Write `shards` tars of `pairs` crops, 32 to 96 pixels a side; metadata also list `failed` downloads a shard."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw, photographs = np.random.default_rng(seed), _photographs()
    place = Path(folder) / "shards"
    place.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        rows = []
        with tarfile.open(place / f"{shard:05d}.tar", "w") as tar:
            for index in range(pairs + failed):
                row = {"key": f"{shard:05d}{index:04d}", "status": "failed_to_download", "caption": ""}
                row |= dict.fromkeys(("width", "height", "original_width", "original_height"), 0)
                row |= {"similarity": 0.0, "LANGUAGE": "en"}
                if index < pairs:
                    row |= _write_pair(tar, row["key"], photographs, draw)
                rows.append(row)
        pq.write_table(pa.Table.from_pylist(rows), place / f"{shard:05d}.parquet")
    _write_evaluation(Path(folder) / "evaluation" / "photographs", photographs, draw)


def _photographs() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_sample_image

    return {word: load_sample_image(file) for file, word in CLASSES.items()}


def _crop(photograph: np.ndarray, draw) -> bytes:
    from PIL import Image

    high, wide = draw.integers(32, 97, 2)
    top, left = draw.integers(0, photograph.shape[0] - high), draw.integers(0, photograph.shape[1] - wide)
    out = io.BytesIO()
    Image.fromarray(photograph[top:top + high, left:left + wide]).save(out, "JPEG", quality=90)
    return out.getvalue()


def _write_pair(tar: tarfile.TarFile, key: str, photographs: dict, draw) -> dict:
    """Add key.jpg, key.txt and key.json; return what the metadata say of them."""
    from PIL import Image

    word = str(draw.choice(list(photographs)))
    picture, caption = _crop(photographs[word], draw), str(draw.choice(_CAPTIONS)).format(word)
    width, height = Image.open(io.BytesIO(picture)).size
    about = {"status": "success", "caption": caption, "width": width, "height": height, "original_width": width,
             "original_height": height, "similarity": round(float(draw.uniform(0.25, 0.4)), 4)}
    _add(tar, f"{key}.jpg", picture)
    _add(tar, f"{key}.json", json.dumps({"key": key, **about}).encode())
    _add(tar, f"{key}.txt", caption.encode())
    return about


def _write_evaluation(folder: Path, photographs: dict, draw, items: int = 64) -> None:
    (folder / "test").mkdir(parents=True, exist_ok=True)
    words = list(photographs)
    (folder / "classnames.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "zeroshot_classification_templates.txt").write_text("a photograph of a {c}\n", encoding="utf-8")
    (folder / "test" / "nshards.txt").write_text("1\n", encoding="utf-8")
    with tarfile.open(folder / "test" / "0.tar", "w") as tar:
        for index in range(items):
            _add(tar, f"{index:06d}.jpg", _crop(photographs[words[index % len(words)]], draw))
            _add(tar, f"{index:06d}.cls", str(index % len(words)).encode())


def _add(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    tar.addfile(info, io.BytesIO(body))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="clip_scaling.subset.at_scale_tiny", description=__doc__)
    parser.add_argument("folder", type=Path)
    write_pool(parser.parse_args().folder)

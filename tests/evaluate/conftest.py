"""Two tiny models and two small evaluation folders, made once a session."""

import gzip
import io
import tarfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

COLOURS = ("red", "green", "blue", "white", "cyan", "pink", "grey")
SIZE = 32


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads what another cached."""
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path / "cache"))


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path, samples: list[dict[str, bytes]]) -> None:
    """A tar of samples {extension: bytes}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number, sample in enumerate(samples):
            for extension, content in sample.items():
                member = tarfile.TarInfo(f"s{number:05d}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def write_split(folder, split: str, samples: list[dict[str, bytes]], shards: int = 1) -> None:
    """A split of `shards` tars with nshards.txt, as CLIP_benchmark wants it."""
    for shard in range(shards):
        write_tar(folder / split / f"{shard}.tar", samples[shard::shards])
    (folder / split / "nshards.txt").write_text(f"{shards}\n")


def picture(random: np.random.Generator, label: int, size: int = SIZE) -> np.ndarray:
    """Noise around a shade that belongs to the label."""
    shade = np.random.default_rng(label).integers(0, 255, 3)
    return np.clip(shade + random.normal(0, 60, (size, size, 3)), 0, 255).astype(np.uint8)


def classification_folder(path, *, items=90, classes=len(COLOURS), seed=0, splits=("test",), size=SIZE):
    """Noisy colour patches; labels follow the shade."""
    path.mkdir(parents=True)
    (path / "classnames.txt").write_text("\n".join(COLOURS[:classes]) + "\n")
    (path / "zeroshot_classification_templates.txt").write_text("a {c} patch\n{c} icon\npicture of {c}\n")
    for number, split in enumerate(splits):
        random = np.random.default_rng(seed + number)
        labels = random.integers(0, classes, items)
        write_split(path, split, [{"png": png(picture(random, label, size)), "cls": str(label).encode()}
                                  for label in labels], shards=2)
    return path


def retrieval_folder(path, *, items=70, seed=7, splits=("test",)):
    """Distinct images with one to three distinct captions each."""
    path.mkdir(parents=True)
    (path / "dataset_type.txt").write_text("retrieval\n")
    for number, split in enumerate(splits):
        random, samples = np.random.default_rng(seed + number), []
        for item in range(items):
            shade = int(random.integers(len(COLOURS)))
            captions = [f"{COLOURS[shade]} patch {item} {letter}" for letter in "abc"[: 1 + item % 3]]
            samples.append({"png": png(picture(random, shade)), "txt": "\n".join(captions).encode()})
        write_split(path, split, samples)
    return path


@pytest.fixture(scope="session")
def merges(tmp_path_factory):
    """A byte-pair vocabulary of a few merges in open_clip's format."""
    path = tmp_path_factory.mktemp("tokenizer") / "bpe.txt.gz"
    pairs = ["r e", "re d</w>", "i c", "ic o", "ico n</w>", "p a", "pa t", "pat c", "patc h</w>"]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(["#version: test", *pairs]) + "\n")
    return path


@pytest.fixture(scope="session")
def run_folders(tmp_path_factory, merges):
    """Folders of two models as `train` writes them, differing in seed and normalisation."""
    from clip_scaling.train import models

    folders = []
    for seed, normalisation in enumerate(("open_clip", "ink")):
        folder = tmp_path_factory.mktemp(f"run{seed}")
        tokenizer = models.load_tokenizer(merges)
        config = models.model_config(models.architecture("ViT-XXS-8"), tokenizer)
        clip = models.build_model(config, seed=seed)
        models.set_normalisation(clip, models.NORMALISATIONS[normalisation])
        models.save_model(clip, config, merges, folder)
        folders.append(folder)
    return folders


@pytest.fixture(scope="session")
def classification(tmp_path_factory):
    return classification_folder(tmp_path_factory.mktemp("sets") / "patches")


@pytest.fixture(scope="session")
def retrieval(tmp_path_factory):
    return retrieval_folder(tmp_path_factory.mktemp("sets") / "captions")


@pytest.fixture
def model(run_folders):
    from clip_scaling.evaluate.model import from_run

    return from_run(run_folders[0])


@pytest.fixture(scope="session")
def make():
    """The functions that make folders, for tests that need their own."""
    import types

    return types.SimpleNamespace(
        classification_folder=classification_folder, retrieval_folder=retrieval_folder,
        write_split=write_split, write_tar=write_tar, png=png, picture=picture,
    )

"""From a model and an evaluation folder to scores, kept by content in .cache/evaluations."""

from dataclasses import asdict

from ..core import paths
from ..core.errors import UserError
from ..core.files import digest, read_json, write_json
from .features import image_features, text_features
from .folder import PACKING, Folder, Kind, read_split, say_once, split_digest
from .model import Model
from .score import Score

VERSION = 1  # raise when a task's numbers change for equal input
NEAR_DUPLICATE = "near_duplicate"
PROBES = {"10shot": 10, "25shot": 25, "full": None}


def zeroshot(model: Model, folder: Folder) -> list[Score]:
    """Zero-shot classification on `test`, and on `all` where near-duplicates were set apart."""
    from .zeroshot import classifier

    if folder.kind is Kind.RETRIEVAL:
        raise UserError("is a retrieval set", where=folder.path, mend="take --task retrieval")
    if not folder.templates:
        raise UserError("has no zeroshot_classification_templates.txt", where=folder.path, mend="write one")
    weights = classifier(model, folder.classnames, folder.templates)
    return [
        score
        for split, parts in _splits(folder).items()
        for score in _zeroshot_split(model, folder, split, parts, weights)
    ]


def retrieval(model: Model, folder: Folder) -> list[Score]:
    """Image and text retrieval on `test`, and on `all` where near-duplicates were set apart."""
    return [score for split, parts in _splits(folder).items() for score in _retrieval_split(model, folder, split, parts)]


def _splits(folder: Folder) -> dict[str, list[str]]:
    """Name of a reported split: the parts of the folder that it joins."""
    if folder.has(NEAR_DUPLICATE):
        return {"test": ["test"], "all": ["test", NEAR_DUPLICATE]}
    return {"test": ["test"]}


def _features(model: Model, folder: Folder, parts: list[str]):
    """Image features [N, D] of the joined parts, and the parts' items."""
    import torch

    items = [read_split(folder, part, model.geometry) for part in parts]
    return torch.cat([image_features(model, part) for part in items]), items


def _zeroshot_split(model: Model, folder: Folder, split: str, parts: list[str], weights) -> list[Score]:
    import numpy as np

    from .zeroshot import classification_metrics, mean_average_precision

    features, items = _features(model, folder, parts)
    logits = 100.0 * features @ weights
    labels = np.concatenate([part.labels for part in items])
    if folder.kind is Kind.MULTILABEL:
        metrics = {"mean_average_precision": mean_average_precision(logits.numpy(), labels)}
    else:
        metrics = classification_metrics(logits, labels)
    return [
        Score("zeroshot_classification", folder.name, split, metric, value, len(labels), len(folder.classnames))
        for metric, value in metrics.items()
    ]


def _retrieval_split(model: Model, folder: Folder, split: str, parts: list[str]) -> list[Score]:
    import numpy as np

    from .retrieval import recalls

    if folder.kind is not Kind.RETRIEVAL:
        raise UserError("is no retrieval set", where=folder.path, mend="write retrieval to dataset_type.txt")
    images, items = _features(model, folder, parts)
    captions = [group for part in items for group in part.captions]
    texts = text_features(model, [caption for group in captions for caption in group])
    owner = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
    counts = {"image": (len(texts), len(images)), "text": (len(images), len(texts))}
    return [
        Score("retrieval", folder.name, split, metric, value, *counts[metric.split("_")[0]])
        for metric, value in recalls(images, texts, owner).items()
    ]


def linear_probe(model: Model, folder: Folder) -> list[Score]:
    """Probes with 10 and 25 items a class and with all of `train`, tested on `test`.

    `acc1` is of the setting chosen on a fifth of `train`, `acc1_selected_on_test` of the paper's choice. A probe for
    which a class has too few items is left out, and said so.
    """
    import numpy as np

    from .probe import Labelled, probe

    if folder.kind is not Kind.CLASSIFICATION or not folder.has("train"):
        raise UserError("has no labelled train split", where=folder.path, mend="add train/0.tar, or take another task")
    sides = []
    for split in ("train", "test"):
        features, items = _features(model, folder, [split])
        sides.append(Labelled(features, np.concatenate([part.labels for part in items])))
    scores = []
    for name, few in PROBES.items():
        found = probe(*sides, len(folder.classnames), few=few)
        if found is None:
            say_once(f"{folder.name}: {name} left out, a class has fewer than {few} items to train on")
            continue
        for metric, value in (("acc1", found.accuracy), ("acc1_selected_on_test", found.on_test)):
            counts = (len(sides[1].labels), len(folder.classnames))
            scores.append(Score(f"linear_probe_{name}", folder.name, "test", metric, value, *counts))
    return scores


def content(folder: Folder) -> list[str]:
    """Digests of a set's splits: what scores on it depend on, the model apart."""
    return [split_digest(folder, part) for part in ("train", "test", NEAR_DUPLICATE) if folder.has(part)]


def kept(task, model: Model, folder: Folder, settings: object = None) -> list[Score]:
    """`task(model, folder)`, read back where this model was scored on this content before."""
    known = [task.__name__, model.content, model.device, folder.name, settings, VERSION, content(folder)]
    if folder.kind is Kind.RETRIEVAL:  # scores are of captions as the packing splits them
        known.append(PACKING[folder.kind])
    path = paths.cache() / "evaluations" / f"{digest(known)}.json"
    if path.is_file():
        return [Score(**row) for row in read_json(path)]
    scores = task(model, folder)
    write_json(path, [asdict(score) for score in scores])
    return scores

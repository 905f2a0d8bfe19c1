"""Zero-shot classification with ensembles of prompts (paper, Section 4.1)."""

import numpy as np

from .features import text_features
from .model import Model


def classifier(model: Model, classnames: tuple[str, ...], templates: tuple[str, ...]):
    """Class embeddings, float32 [D, C]: the mean of the normalised prompts of a class, normalised again."""
    prompts = [template.replace("{c}", name) for name in classnames for template in templates]
    each = text_features(model, prompts).view(len(classnames), len(templates), -1)
    mean = each.mean(dim=1)
    return (mean / mean.norm(dim=-1, keepdim=True)).T.contiguous()


def classification_metrics(logits, labels: np.ndarray) -> dict[str, float]:
    """acc1, acc5 (with 5 classes or more) and mean_per_class_recall of logits [N, C] and labels [N].

    A class without items does not enter the mean recall, as in CLIP_benchmark.
    """
    import torch

    target = torch.as_tensor(labels)
    top = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = top == target[:, None]
    metrics = {"acc1": hits[:, 0].double().mean().item()}
    if logits.shape[1] >= 5:
        metrics["acc5"] = hits.any(dim=1).double().mean().item()
    metrics["mean_per_class_recall"] = mean_per_class_recall(logits.argmax(dim=1).numpy(), labels)
    return metrics


def mean_per_class_recall(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur in `labels` of the share of their items predicted right."""
    items = np.bincount(labels)
    right = np.bincount(labels[predicted == labels], minlength=len(items))
    return float(np.mean(right[items > 0] / items[items > 0]))


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over classes of the average precision of scores [N, C] against 0/1 targets [N, C].

    A class without positives counts as 0, as in CLIP_benchmark.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    truth = np.take_along_axis(targets, order, axis=0).astype(float)
    precision = np.cumsum(truth, axis=0) / np.arange(1, len(truth) + 1)[:, None]
    return float(np.mean((precision * truth).sum(axis=0) / np.maximum(truth.sum(axis=0), 1)))

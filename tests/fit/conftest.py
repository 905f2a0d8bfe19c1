"""Published points, read once."""

from functools import cache

import pytest

from clip_scaling.fit import targets


@cache
def _published() -> list[targets.Target]:
    return targets.targets_of(targets.read_errors("published"), targets.PUBLISHED, published=True)


@pytest.fixture(scope="session")
def published_points():
    """Points of a zero-shot set: published_points("imagenet1k", "LAION")."""

    def choose(dataset: str, family: str = "LAION"):
        tasks = ("zeroshot_classification", "retrieval")
        metrics = ("acc1", "mean_average_precision", "image_retrieval_recall@5")
        return next(target.points for target in _published() if target.dataset == dataset and target.family == family
                    and target.task in tasks and target.metric in metrics)

    return choose

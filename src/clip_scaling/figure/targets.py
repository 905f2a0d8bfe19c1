"""Which evaluation sets a study's figures show, and the points of a panel."""

import pandas as pd

from .fitted import Target
from .tables import StudyTables

_PUBLISHED = {
    "zeroshot_classification": (
        ("imagenet1k", "ImageNet"),
        ("imagenet_robustness", "ImageNet robustness, mean of 5 sets"),
    ),
    "retrieval": (("mscoco_captions", "MS-COCO"), ("flickr30k", "Flickr30K")),
}


def main_set(tables: StudyTables) -> str:
    """The set that stands for the study: ImageNet, or the icons of held-out families, or the first by name."""
    names = tables.datasets("zeroshot_classification")
    return next((name for name in ("imagenet1k", "icons") if name in names), names[0])


def shifts(tables: StudyTables) -> list[str]:
    """Sets with the classes of the main set, drawn otherwise: distribution shifts."""
    if tables.published:
        return ["imagenetv2", "imagenet-r", "imagenet_sketch", "imagenet-a", "objectnet"]
    scores = tables.scores[tables.scores["task"] == "zeroshot_classification"]
    classes = scores.dropna(subset=["n_classes"]).groupby("dataset")["n_classes"].first()
    main = main_set(tables)
    return [name for name in classes.index if name != main and classes[name] == classes.get(main)]


def classification(tables: StudyTables) -> list[Target]:
    """The paper's two; else the main set, sets of other classes, and shifts, six at most."""
    if tables.published:
        return [
            Target("zeroshot_classification", name, "acc1", title)
            for name, title in _PUBLISHED["zeroshot_classification"]
        ]
    main, moved = main_set(tables), shifts(tables)
    others = [name for name in tables.datasets("zeroshot_classification") if name not in (*moved, main)]
    return [Target("zeroshot_classification", name, "acc1", name) for name in [main, *others, *moved][:6]]


def retrieval(tables: StudyTables, kinds: tuple[str, ...] = ("image", "text")) -> list[Target]:
    sets = _PUBLISHED["retrieval"] if tables.published else [(name, name) for name in tables.datasets("retrieval")]
    return [
        Target("retrieval", name, f"{kind}_retrieval_recall@5", f"{title}, {kind} retrieval")
        for name, title in sets
        for kind in kinds
    ]


PROBES = {"linear_probe_10shot": "10 per class", "linear_probe_25shot": "25 per class", "linear_probe_full": "full set"}


def probes(tables: StudyTables) -> list[Target]:
    """Linear probes of an own study, hyper-parameters chosen on a validation split."""
    pairs = tables.scores[tables.scores["metric"] == "acc1"][["dataset", "task"]].drop_duplicates()
    have = {tuple(pair) for pair in pairs.to_numpy()}
    return [
        Target(task, name, "acc1", f"{name}, {title}")
        for name in sorted({dataset for dataset, _ in have})
        for task, title in PROBES.items()
        if (name, task) in have
    ]


def points_of(tables: StudyTables, targets: list[Target], split: str = "test") -> pd.DataFrame:
    """Rows of `errors` for the targets in their order, with `panel`, the target's title."""
    parts = []
    for target in targets:
        rows = tables.of(target.task, target.metric, split)
        parts.append(rows[rows["dataset"] == target.dataset].assign(panel=target.title))
    return pd.concat(parts, ignore_index=True)


def drawn(tables: StudyTables) -> pd.DataFrame:
    """Scores of the zero-shot and retrieval tasks: what the figures against compute draw."""
    return tables.scores[tables.scores["task"].isin(("zeroshot_classification", "retrieval"))]

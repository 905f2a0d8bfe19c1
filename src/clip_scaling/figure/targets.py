"""Which evaluation sets a study's figures show, and the points of a panel."""

import pandas as pd

from .fitted import Target
from .tables import StudyTables

_PUBLISHED_CLASSIFICATION = (("imagenet1k", "ImageNet"), ("imagenet_robustness", "ImageNet robustness, mean of 5 sets"))
_PUBLISHED_RETRIEVAL = (("mscoco_captions", "MS-COCO image retrieval"), ("flickr30k", "Flickr30K image retrieval"))
_STUDY_NAMES = {"published": "published"}


def shown(study: str) -> str:
    """How prose calls a study."""
    return _STUDY_NAMES.get(study, study)


def main_set(tables: StudyTables) -> str:
    """The classification set with most classes that is no shift: `icons`, or the first by name."""
    names = sorted(set(_of_task(tables, "zeroshot_classification")["dataset"]))
    return next((name for name in ("imagenet1k", "icons") if name in names), names[0])


def shifts(tables: StudyTables) -> list[str]:
    """Sets with the classes of the main set, drawn otherwise: distribution shifts."""
    scores = _of_task(tables, "zeroshot_classification")
    classes = scores.dropna(subset=["n_classes"]).groupby("dataset")["n_classes"].first()
    main = main_set(tables)
    return [name for name in classes.index if name != main and classes[name] == classes.get(main)]


def classification_targets(tables: StudyTables) -> list[Target]:
    if tables.study == "published":
        return [Target("zeroshot_classification", name, "acc1", title) for name, title in _PUBLISHED_CLASSIFICATION]
    others = set(_of_task(tables, "zeroshot_classification")["dataset"]) - set(shifts(tables)) - {main_set(tables)}
    names = [main_set(tables), *sorted(others), *shifts(tables)]
    return [Target("zeroshot_classification", name, "acc1", f"{name} (top-1)") for name in names[:6]]


def retrieval_targets(tables: StudyTables) -> list[Target]:
    if tables.study == "published":
        return [Target("retrieval", name, "image_retrieval_recall@5", title) for name, title in _PUBLISHED_RETRIEVAL]
    names = sorted(set(_of_task(tables, "retrieval")["dataset"]))
    return [Target("retrieval", name, f"{kind}_retrieval_recall@5", f"{name}, {kind} retrieval")
            for name in names for kind in ("image", "text")]


def _of_task(tables: StudyTables, task: str) -> pd.DataFrame:
    return tables.scores[tables.scores["task"] == task]


def points_of(tables: StudyTables, targets: list[Target], split: str = "test") -> pd.DataFrame:
    """Rows of `errors` for the targets, with `panel`, the target's title."""
    parts = []
    for target in targets:
        errors = tables.errors
        chosen = errors[(errors["task"] == target.task) & (errors["dataset"] == target.dataset)
                        & (errors["metric"] == target.metric) & (errors["split"] == split)]
        parts.append(chosen.assign(panel=target.title))
    return pd.concat(parts, ignore_index=True).sort_values(["panel", "compute", "run"], key=_as_given(targets))


def _as_given(targets: list[Target]):
    order = {target.title: place for place, target in enumerate(targets)}
    return lambda column: column.map(order) if column.name == "panel" else column

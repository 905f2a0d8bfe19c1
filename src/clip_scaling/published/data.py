"""data/published, read and validated once."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from ..core import paths
from ..core.errors import UserError
from ..core.schema import SCORES, errors_frame, read_table, validate
from .layout import TABLES

STUDY = "published"
SHOTS = {"10": "linear_probe_10shot", "25": "linear_probe_25shot", "full": "linear_probe_full"}
LABELS = ("3B", "13B", "34B")


@dataclass(frozen=True)
class Published:
    """Tables of data/published by attribute, e.g. `published.training`. Raises UserError for a bad or missing file."""

    folder: Path = field(default_factory=paths.published)

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name not in TABLES:
            raise AttributeError(name)
        frame = read_table(self.folder / f"{name}.csv", TABLES[name])
        self.__dict__[name] = frame  # read once; the tables are never changed
        return frame

    @cached_property
    def all_scores(self) -> pd.DataFrame:
        """SCORES: zero-shot and retrieval as released, linear probes as the paper selects them, joint fine-tuning."""
        parts = [self.scores, probe_scores(self), joint_scores(self)]
        return validate(
            pd.concat([part.astype(object) for part in parts], ignore_index=True), SCORES, where=self.folder
        )

    @cached_property
    def errors(self) -> pd.DataFrame:
        """core.schema.errors_frame of all scores, with `label`, the budget as the paper names it."""
        joined = errors_frame(self.runs, self.all_scores)
        joined["label"] = joined["run"].str.extract(r"_(\d+B)(?:_|$)")[0]
        return joined

    def points(self, task: str, dataset: str, metric: str) -> pd.DataFrame:
        """Rows of `errors` for one evaluation set, by compute. Raises UserError where there are none."""
        if (task, dataset, metric) not in self._by_set:
            raise UserError(f"no {metric} of {task} on {dataset!r}", where=self.folder, mend="name a released set")
        return self._by_set[task, dataset, metric].copy()

    @cached_property
    def _by_set(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        rows = self.errors.sort_values(["compute", "run"])
        return {key: own.reset_index(drop=True) for key, own in rows.groupby(["task", "dataset", "metric"])}

    def check(self) -> None:
        """Read every table; each run named anywhere must be one of runs.csv. Raises UserError."""
        known = set(self.runs["run"])
        for name in TABLES:
            frame = getattr(self, name)
            unknown = sorted(set(frame["run"]) - known) if "run" in frame else []
            if unknown:
                raise UserError(
                    f"names the unknown run {unknown[0]!r}",
                    where=self.folder / f"{name}.csv",
                    mend="add it to runs.csv",
                )


def probe_scores(published: Published) -> pd.DataFrame:
    """Per model and set the best of the nine probe settings on the test set (the paper's choice), and VTAB's mean."""
    grid, sets = published.linear_probe, published.evaluation_sets.set_index("dataset")
    keys = ["run", "dataset", "shots"]
    best = grid.loc[grid.groupby(keys)["acc1"].idxmax(), [*keys, "acc1", "seed", "source"]]
    best["n_items"] = _known(best["dataset"], sets["test_size"])
    best["n_classes"] = _known(best["dataset"], sets["n_classes"])
    vtab = best[best["dataset"].str.startswith("vtab/")]
    means = vtab.groupby(["run", "shots"], as_index=False).agg(
        acc1=("acc1", "mean"), seed=("seed", "first"), source=("source", "first"), tasks=("acc1", "size")
    )
    if (means["tasks"] != 19).any():
        raise UserError(
            "VTAB's mean needs 19 tasks for each run",
            where=published.folder / "linear_probe.csv",
            mend="add the missing rows",
        )
    rows = pd.concat([best, means.drop(columns="tasks").assign(dataset="vtab")], ignore_index=True)
    rows["task"] = rows["shots"].map(SHOTS)
    rows = rows.rename(columns={"acc1": "value"}).drop(columns="shots")
    return rows.assign(study=STUDY, split="test", metric="acc1_selected_on_test")[SCORES.names]


def _known(datasets: pd.Series, by_dataset: pd.Series) -> pd.Series:
    plain = datasets.replace({"cifar100": "vtab/cifar100"})  # the set is probed twice, under two names
    return plain.map(by_dataset)


def joint_scores(published: Published) -> pd.DataFrame:
    """Tables 6 to 8 as scores; they stand on the transcription."""
    rows = published.joint_fine_tuning.rename(columns={"acc1": "value"})
    rows = rows.assign(study=STUDY, split="test", metric="acc1", n_items=pd.NA, n_classes=pd.NA, seed=pd.NA)
    return rows[SCORES.names]


def load(folder: Path | None = None) -> Published:
    """The published study, checked. Raises UserError."""
    published = Published(folder) if folder else Published()
    published.check()
    return published

"""Errata 9-16: what the runs were."""

from collections.abc import Iterator

from .. import frames
from ..claims.checks import difference
from ..claims.controls import trial_difference
from ..data import LABELS, Published
from .model import Erratum, Evidence

_RUNS, _TRAINING, _CURVES, _CONTROLS = "runs.csv", "training.csv", "learning_curves.csv", "controls.csv"


def more_data(published: Published) -> Iterator[Evidence]:
    runs = published.runs.set_index("run")
    for name in ("ViT-B-32", "ViT-B-16"):
        for label in LABELS:
            first, second = (f"{name}_{subset}_{label}" for subset in ("LAION-400M", "LAION-2B"))
            value, half = difference(published, first, second, frames.IMAGENET)
            paper = "no gain" if label != "34B" else "gain"
            yield Evidence(
                f"{name}, {label}: ImageNet gain from LAION-400M to LAION-2B",
                value,
                "pp",
                "scores.csv",
                value - half,
                value + half,
                paper,
            )
            for column in ("batch_size", "learning_rate"):
                ratio = float(runs.at[second, column]) / float(runs.at[first, column])
                yield Evidence(
                    f"{name}, {label}: {column.replace('_', ' ')} on LAION-2B over that on LAION-400M",
                    ratio,
                    "ratio",
                    _RUNS,
                )


def samples(published: Published) -> Iterator[Evidence]:
    runs = published.runs.merge(published.training, on="run", suffixes=("", "_training"))
    seen = runs["samples_seen"].astype(float) / 1e9
    for label in LABELS:
        of = seen[runs["samples_seen_label"] == label]
        yield Evidence(
            f"samples seen of the {len(of)} runs labelled {label}, least", of.min(), "billion", _RUNS, paper=label
        )
        yield Evidence(
            f"samples seen of the {len(of)} runs labelled {label}, most", of.max(), "billion", _RUNS, paper=label
        )
    by_epochs = (runs["epochs"] * runs["samples_per_epoch"]).astype(float) / 1e9
    for run, one, other in zip(runs["run"], seen, by_epochs, strict=True):
        if abs(one / other - 1) > 1e-3 or run in ("ViT-L-14_LAION-2B_34B", "ViT-g-14_LAION-2B_13B"):
            yield Evidence(f"{run}: samples seen in the released scores", one, "billion", _RUNS)
            yield Evidence(
                f"{run}: epochs x samples per epoch in the released list of runs", other, "billion", _TRAINING
            )


def batches(published: Published) -> Iterator[Evidence]:
    size, gpus = published.resources["batch_size"], published.resources["gpus"]
    yield Evidence(
        f"runs of {len(size)} with a global batch of 86 to 88K",
        size.between(86_000, 88_999).sum(),
        "runs",
        "resources.csv",
        paper="86-88K",
    )
    yield Evidence("least global batch", size.min(), "pairs", "resources.csv", paper="86-88K")
    yield Evidence("largest global batch", size.max(), "pairs", "resources.csv", paper="86-88K")
    yield Evidence("most GPUs in a run", gpus.max(), "GPUs", "resources.csv", paper="1520")


def probes(published: Published) -> Iterator[Evidence]:
    runs = published.runs.set_index("run")
    compute = runs["gmacs_per_sample"] * runs["samples_seen"].astype(float)
    for probed in sorted(set(published.linear_probe["run"]) - set(published.scores["run"])):
        yield Evidence(f"{probed}: compute of the model that was probed", compute[probed], "GMAC", "linear_probe.csv")
        twin = "_".join(probed.split("_")[:3])
        if twin in compute.index:
            yield Evidence(f"{twin}: compute of the model in the zero-shot tables", compute[twin], "GMAC", _RUNS)
    gmacs = published.architectures.set_index("architecture")["gmacs_per_sample"]
    yield Evidence(
        "ViT-B-16-plus-240: GMAC per sample behind its released compute",
        runs.loc["ViT-B-16-plus-240_LAION-400M_13B_laion400m_e32", "gmacs_per_sample"],
        "GMAC",
        "linear_probe.csv",
    )
    for name in ("ViT-B-16-plus", "ViT-B-16-plus-240"):
        yield Evidence(
            f"{name}: GMAC per sample in the released table of architectures", gmacs[name], "GMAC", "architectures.csv"
        )
    yield from _vtab_members(published)


def _vtab_members(published: Published) -> Iterator[Evidence]:
    sets = published.evaluation_sets.set_index("dataset")
    values = published.scores[(published.scores["metric"] == "acc1")].pivot(
        index="dataset", columns="run", values="value"
    )
    members = sets.index[sets["in_vtab_zero_shot"] == 1]
    swapped = [*members.drop("sun397"), "vtab/cifar10"]
    for said, names in (("with SUN397, without CIFAR-10", list(members)), ("with CIFAR-10, without SUN397", swapped)):
        apart = (values.loc[names].mean() - values.loc["vtab"]).abs().max()
        yield Evidence(
            f"zero-shot VTAB: largest difference of the released mean from 19 sets {said}",
            100 * apart,
            "pp",
            "scores.csv",
        )
    probed = set(published.linear_probe["dataset"])
    for name in ("vtab/cifar10", "sun397"):
        yield Evidence(f"linear probes: sets named {name}", int(name in probed), "sets", "linear_probe.csv")


def curves(published: Published) -> Iterator[Evidence]:
    epochs = published.training.set_index("run")["epochs"]
    for run, curve in published.learning_curves.groupby("run"):
        missing = int(epochs[run]) - curve["epoch"].nunique()
        if missing:
            yield Evidence(f"{run}: epochs without a point, of {epochs[run]}", missing, "epochs", _CURVES)
    large = published.learning_curves[published.learning_curves["run"] == "ViT-H-14_LAION-2B_34B"].set_index("epoch")[
        "acc1"
    ]
    for said, some in (
        ("before, epoch 113", large.loc[113:113]),
        ("largest of epochs 114 to 119", large.loc[114:119]),
        ("after, epoch 122", large.loc[122:122]),
    ):
        yield Evidence(f"ViT-H-14_LAION-2B_34B: ImageNet top-1 {said}", 100 * some.max(), "%", _CURVES)


def trials(published: Published) -> Iterator[Evidence]:
    rows = published.controls[published.controls["table"] == 14]
    for row in rows.itertuples():
        yield Evidence(f"ViT-B-32, LAION-400M, 13B: ImageNet top-1, {row.condition}", 100 * row.value, "%", _CONTROLS)
    yield Evidence(
        "difference between the two trials", trial_difference(published), "pp", _CONTROLS, paper="around 0.1 %"
    )


def small_subset(published: Published) -> Iterator[Evidence]:
    unique = published.runs.groupby("subset")["unique_samples"].first().astype(float)
    yield Evidence("pairs of LAION-80M", unique["LAION-80M"], "pairs", _RUNS)
    yield Evidence(
        "the same as a share of LAION-400M; how they were drawn is not stated",
        100 * unique["LAION-80M"] / unique["LAION-400M"],
        "%",
        _RUNS,
    )


ERRATA = (
    Erratum(9, "More data does help ViT-B/16 at 13B samples", more_data),
    Erratum(10, "Labels of samples seen are rounder than the samples", samples),
    Erratum(11, "Batches and GPUs range wider than the text says", batches),
    Erratum(12, "Linear probing takes other models and another VTAB than the zero-shot tables", probes),
    Erratum(13, "The released learning curves lack epochs, and one jumps", curves),
    Erratum(14, "Two trials differ by more than the text says", trials),
    Erratum(15, "How LAION-80M was drawn is not stated", small_subset),
)

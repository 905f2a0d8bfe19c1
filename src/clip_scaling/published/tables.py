"""The paper's tables recomputed from the released numbers, row by row and column by column as the paper names them."""

from collections.abc import Callable

import pandas as pd

from .data import SHOTS, Published
from .frames import throughput
from .paper_fit import SCENARIO_SAMPLES, fit_points

Cells = pd.DataFrame  # row, column, recomputed (number, or text where the paper prints words)
TRANSCRIBED = ("2", "3", "6", "7", "8", "10", "11", "12", "13", "14", "15", "26")  # no public numbers behind them
GRID = {  # tables over the 29 runs: column, task, dataset, metric
    "16": ("vtab_plus_avg", "zeroshot_classification", "vtab+", "acc1"),
    "19": ("imagenet_top1", "zeroshot_classification", "imagenet1k", "acc1"),
    "20": ("imagenet_robustness_top1", "zeroshot_classification", "imagenet_robustness", "acc1"),
    "21": ("mscoco_image_r5", "retrieval", "mscoco_captions", "image_retrieval_recall@5"),
    "22": ("mscoco_text_r5", "retrieval", "mscoco_captions", "text_retrieval_recall@5"),
    "23": ("flickr30k_image_r5", "retrieval", "flickr30k", "image_retrieval_recall@5"),
    "24": ("flickr30k_text_r5", "retrieval", "flickr30k", "text_retrieval_recall@5"),
    "hidden": ("vtab19_avg", "zeroshot_classification", "vtab", "acc1"),
}
_COMMENTED_OUT = "ViT-B-32_LAION-2B_34B_laion2b_e16"


def recompute(published: Published, table: str) -> Cells:
    """Cells of a table from the data behind it; empty for the tables that stand on the transcription alone."""
    if table in GRID:
        return _grid(published, *GRID[table])
    maker = _MAKERS.get(table)
    return maker(published) if maker else _cells([])


def _cells(rows: list[tuple[str, str, object]]) -> Cells:
    return pd.DataFrame(rows, columns=["row", "column", "recomputed"])


def _printed_architecture(name: str) -> str:
    kind, _, patch = name.rpartition("-")
    return f"{kind}/{patch}"


def _grid(published: Published, column: str, task: str, dataset: str, metric: str) -> Cells:
    points = published.points(task, dataset, metric)
    points = points[points["family"] == "LAION"]
    return _cells(
        [
            (f"{_printed_architecture(run.architecture)} {run.label} {run.subset}", column, 100 * run.value)
            for run in points.itertuples()
        ]
    )


def _percent(published: Published, run: str, task: str, dataset: str, metric: str) -> float:
    points = published.points(task, dataset, metric)
    return 100 * float(points.loc[points["run"] == run, "value"].item())


def _table_1(published: Published) -> Cells:
    columns = {"imagenet_top1": GRID["19"], "vtab_plus_avg": GRID["16"], "coco_image_retrieval_r5": GRID["21"]}
    runs = {
        "CLIP WIT-400M L/14": "ViT-L-14_CLIP-WIT_13B",
        "Ours LAION-2B L/14": "ViT-L-14_LAION-2B_34B",
        "Ours LAION-2B H/14": "ViT-H-14_LAION-2B_34B",
    }
    return _cells(
        [
            (row, column, _percent(published, run, *target[1:]))
            for row, run in runs.items()
            for column, target in columns.items()
        ]
    )


def prediction(published: Published, table: str, architecture: str, label: str) -> float:
    """Score in % that the paper's fit of table 19 or 21 predicts for an architecture and a budget's label."""
    fit = fit_points(published.points(*GRID[table][1:]), "LAION")
    gmacs = published.architectures.set_index("architecture")["gmacs_per_sample"]
    return 100 * (1 - float(fit.error(gmacs[architecture] * SCENARIO_SAMPLES[label])))


def _table_4(published: Published) -> Cells:
    measured = {("ViT-g-14", "13B"), ("ViT-H-14", "34B")}
    rows = []
    for label in ("3B", "13B", "34B", "68B"):
        for name in ("ViT-H-14", "ViT-g-14", "ViT-G-14"):
            for column, table in (("imagenet_top1", "19"), ("mscoco_image_r5", "21")):
                known = (name, label) in measured
                value = (
                    _percent(published, f"{name}_LAION-2B_{label}", *GRID[table][1:])
                    if known
                    else prediction(published, table, name, label)
                )
                rows.append((f"{_printed_architecture(name).removeprefix('ViT-')} {label}", column, value))
    return _cells(rows)


def _table_5(published: Published) -> Cells:
    errors, rows = published.errors, []
    columns = {("vtab", "full"): "vtab"} | {
        (dataset, shots): f"{name}_{shots}{'shot' if shots != 'full' else ''}"
        for dataset, name in (("imagenet1k", "imagenet"), ("cifar100", "cifar100"))
        for shots in SHOTS
    }
    for (dataset, shots), column in columns.items():
        probes = errors[(errors["task"] == SHOTS[shots]) & (errors["dataset"] == dataset)]
        for run in probes[~probes["architecture"].str.contains("plus")].itertuples():
            remark = " (commented out)" if run.run == _COMMENTED_OUT else ""
            rows.append(
                (f"{_printed_architecture(run.architecture)} {run.label} {run.subset}{remark}", column, 100 * run.value)
            )
    return _cells(rows)


def _table_9(published: Published) -> Cells:
    names = {
        "imagenet1k": "IN",
        "imagenet_real": "IN_ReaL",
        "imagenetv2": "IN_V2",
        "imagenet-a": "IN_A",
        "imagenet-r": "IN_R",
        "imagenet_sketch": "IN_Sketch",
    }
    towers = published.architectures.set_index("architecture")
    rows = []
    for cell in published.imagenet_fine_tuning.dropna(subset=["printed"]).itertuples():
        extra = "IN-12k" if cell.intermediate else "None"
        row = f"{_printed_architecture(cell.architecture)} {cell.image_size} {cell.subset} {extra}"
        rows.append((row, names[cell.dataset], 100 * cell.timm))
        if cell.dataset == "imagenet1k":
            rows.append((row, "params_m", cell.parameters_million))
            key = cell.architecture if cell.image_size == 224 else f"{cell.architecture}-{cell.image_size}"
            if key in towers.index:  # the released counts hold 224 and 336 px
                rows += [
                    (row, "gmac", towers.at[key, "image_gmacs"]),
                    (row, "acts_m", towers.at[key, "image_activations_million"]),
                ]
    return _cells(rows)


def _table_17(published: Published) -> Cells:
    runs = {
        "B/32 (34B)": "ViT-B-32_LAION-2B_34B",
        "B/16 (34B)": "ViT-B-16_LAION-2B_34B",
        "L/14 (34B)": "ViT-L-14_LAION-2B_34B",
        "g/14 (13B)": "ViT-g-14_LAION-2B_13B",
        "H/14 (34B)": "ViT-H-14_LAION-2B_34B",
    }
    sets = published.evaluation_sets
    members = sets.loc[sets["in_vtab_plus"] == 1].set_index("abbreviation")["dataset"].to_dict()
    errors = published.errors
    values = errors[(errors["task"] == "zeroshot_classification") & (errors["metric"] == "acc1")]
    values = values.set_index(["run", "dataset"])["value"]
    rows = [
        (name, column, 100 * values[run, dataset]) for column, run in runs.items() for name, dataset in members.items()
    ]
    means = [
        ("VTAB+ (Avg.)", column, 100 * values[run].loc[list(members.values())].mean()) for column, run in runs.items()
    ]
    return _cells(rows + means)


def _table_18(published: Published) -> Cells:
    trained = throughput(published).set_index("run")
    rows = []
    for run in published.training.itertuples():
        of = trained.loc[run.run]
        name = (
            f"{_printed_architecture(of['architecture']).removeprefix('ViT-')} {of['subset']} {run.samples_seen_label}"
        )
        made = {
            "bs_per_gpu": run.batch_per_gpu,
            "bs_global": of["batch_size"],
            "lr": run.learning_rate,
            "warmup": run.warmup_steps,
            "gpus": run.gpus,
            "time_h": of["hours"],
            "gpu_h": of["gpu_hours"],
            "mwh": of["energy_mwh"],
        }
        rows += [(name, column, value) for column, value in made.items()]
    return _cells(rows)


def _table_25(published: Published) -> Cells:
    columns = {
        "width_img": ("image_width", 1),
        "width_txt": ("text_width", 1),
        "emb": ("embed_dim", 1),
        "acts_m": ("activations_million", 1),
        "params": ("parameters_million", 1e6),
        "gmac": ("gmacs_per_sample", 1),
    }
    known = published.architectures.dropna(subset=["image_depth"])
    return _cells(
        [
            (_printed_architecture(row["architecture"]), column, row[name] * scale)
            for row in known.to_dict("records")
            for column, (name, scale) in columns.items()
        ]
    )


_MAKERS: dict[str, Callable[[Published], Cells]] = {
    "1": _table_1,
    "4": _table_4,
    "5": _table_5,
    "9": _table_9,
    "17": _table_17,
    "18": _table_18,
    "25": _table_25,
}

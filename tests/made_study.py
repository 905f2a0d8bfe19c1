"""A small made-up study for the tests of figures and book: laws known beforehand, no measurement."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from clip_scaling.core import schema

ALPHA, BETA = -0.08, 0.95
_STUDY = "made"
_RUNS = [
    (width, gmacs, samples)
    for width, gmacs in (("ViT-XXS-8", 4e-4), ("ViT-XS-8", 8e-4))
    for samples in (5_120, 20_480, 81_920, 819_200)
]


def runs() -> pd.DataFrame:
    rows = [
        {
            "study": _STUDY,
            "run": f"{width}_{family}_{samples}",
            "family": family,
            "subset": family,
            "architecture": width,
            "parameters": 100_000,
            "gmacs_per_sample": gmacs,
            "unique_samples": 8_000,
            "samples_seen": samples,
            "batch_size": 128,
            "learning_rate": 0.003,
            "warmup_steps": 4,
            "precision": "fp32",
            "seed": 0,
            "status": "finished",
            "source": "test",
        }
        for family in ("icons", "pictorial")
        for width, gmacs, samples in _RUNS
    ]
    return pd.DataFrame(rows)


def scores() -> pd.DataFrame:
    """Errors that follow E = BETA C^ALPHA exactly, times a factor of the set."""
    wanted = [
        ("zeroshot_classification", "icons", "acc1", 1.0, 181),
        ("zeroshot_classification", "icons-pixel", "acc1", 1.02, 181),
        ("zeroshot_classification", "icons-frequent", "acc1", 0.8, 25),
        ("retrieval", "icons-retrieval", "image_retrieval_recall@5", 0.9, 500),
        ("retrieval", "icons-retrieval", "text_retrieval_recall@5", 0.88, 500),
    ]
    rows = []
    for run in runs().to_dict("records"):
        error = BETA * (run["gmacs_per_sample"] * run["samples_seen"]) ** ALPHA
        for task, dataset, metric, factor, classes in wanted:
            rows.append(
                {
                    "study": _STUDY,
                    "run": run["run"],
                    "task": task,
                    "dataset": dataset,
                    "split": "test",
                    "metric": metric,
                    "value": max(1 - min(error * factor, 1.0), 0.0),
                    "n_items": 1_000,
                    "n_classes": classes,
                    "seed": 0,
                    "source": "test",
                }
            )
    return pd.DataFrame(rows)


def laws() -> pd.DataFrame:
    """A converged law for icons, a DEGENERATE one for pictorial."""
    rows = []
    for (task, dataset, metric), _ in scores().groupby(["task", "dataset", "metric"]):
        for family, known in (("icons", True), ("pictorial", False)):
            for parameter, value in (("alpha", ALPHA), ("beta", BETA)):
                rows.append(
                    {
                        "study": _STUDY,
                        "family": family,
                        "task": task,
                        "dataset": dataset,
                        "metric": metric,
                        "form": "power",
                        "estimator": "log_least_squares",
                        "parameter": parameter,
                        "value": value if known else np.nan,
                        "low": value - 0.01 if known else np.nan,
                        "high": value + 0.01 if known else np.nan,
                        "interval_method": "bootstrap over models" if known else "none",
                        "status": "CONVERGED" if known else "DEGENERATE",
                        "n_points": 8 if known else 3,
                        "n_left_out": 0 if known else 5,
                        "insample_mae_pp": np.nan,
                        "heldout_mae_pp": np.nan,
                    }
                )
    return pd.DataFrame(rows)


def write(root: Path, project: Path) -> Path:
    """A project folder with the made study's tables, a study file, and the project's notebooks and chapters."""
    folder = root / "results" / _STUDY
    schema.write_table(runs(), folder / "runs.csv", schema.RUNS)
    schema.write_table(scores(), folder / "scores.csv", schema.SCORES)
    schema.write_table(laws(), folder / "laws.csv", schema.LAWS)
    (root / "studies").mkdir()
    text = (project / "studies" / "cpu.yaml").read_text(encoding="utf-8")
    (root / "studies" / f"{_STUDY}.yaml").write_text(text.replace("study: cpu", f"study: {_STUDY}"), encoding="utf-8")
    (root / "params.yaml").write_text(f"study: {_STUDY}\nstudy_file: studies/{_STUDY}.yaml\n", encoding="utf-8")
    (root / "notebooks").symlink_to(project / "notebooks")
    (root / "dvc.yaml").touch()
    shutil.copytree(project / "book" / "chapters", root / "book" / "chapters")
    return root

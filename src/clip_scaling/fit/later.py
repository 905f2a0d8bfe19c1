"""Models published after the paper: an out-of-sample test of laws fitted to its 29 LAION models."""

import numpy as np
import pandas as pd

from ..core import paths
from .outcome import Estimator, Points
from .predict import predict
from .tables import Fitted

_COLUMNS = {"imagenet1k": ("acc1", "imagenet1k_acc1"), "mscoco_captions": ("image_retrieval_recall@5", "mscoco_image_recall5")}
_UNIQUE = {"LAION-2B": 2.32e9}
COLUMNS = ["architecture", "samples_seen", "compute", "dataset", "metric", "form", "error", "predicted", "low", "high",
           "covered", "difference_pp", "note", "source"]


def later_frame(fitted: list[Fitted]) -> pd.DataFrame:
    """One row a later model, evaluation set and form (data/published/later_models.csv); empty without that file."""
    path = paths.published() / "later_models.csv"
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    models, rows = pd.read_csv(path), []
    for one in fitted:
        metric, column = _COLUMNS.get(one.target.dataset, (None, None))
        if one.target.family != "LAION" or one.target.metric != metric or not one.fit.ok:
            continue
        if one.fit.estimator is Estimator.LOG_LS and one.target.task in ("zeroshot_classification", "retrieval"):
            rows += _rows(one, models, column)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(one: Fitted, models: pd.DataFrame, column: str) -> list[dict]:
    gmacs, samples = (models[name].astype(float).to_numpy() for name in ("gmacs_per_sample", "samples_seen"))
    error, unique = 1 - models[column].to_numpy(), models["subset"].map(_UNIQUE).astype(float).to_numpy()
    points = Points(tuple(models["architecture"]), gmacs * samples, error, gmacs, samples, unique)
    predicted, low, high = predict(one.fit, one.form, points)
    return [
        {"architecture": model["architecture"], "samples_seen": model["samples_seen"], "compute": points.compute[k],
         "dataset": one.target.dataset, "metric": one.target.metric, "form": one.form.name, "error": error[k],
         "predicted": predicted[k], "low": low[k], "high": high[k], "covered": bool(low[k] <= error[k] <= high[k]),
         "difference_pp": 100 * (predicted[k] - error[k]), "note": model["note"], "source": model["source"]}
        for k, model in enumerate(models.to_dict("records")) if np.isfinite(error[k])
    ]

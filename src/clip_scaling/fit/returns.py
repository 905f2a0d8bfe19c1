"""What the three-variable law says of repeated data, as tables for charts."""

import numpy as np
import pandas as pd

from .predict import predict
from .laws import effective_samples
from .plan import Law, scenario


def constants(laws: dict[str, Law]) -> pd.DataFrame:
    """One row a named law and parameter: target, parameter, value, low, high, interval_method, status, n_points."""
    rows = [{"target": name, "parameter": parameter, "value": law.fit.theta[k], "low": law.fit.low[k], "high": law.fit.high[k],
             "interval_method": str(law.fit.methods[k]), "status": str(law.fit.status), "n_points": law.fit.n_points,
             "insample_mae_pp": law.fit.insample_mae_pp}
            for name, law in laws.items() for k, parameter in enumerate(law.fit.parameters)]
    return pd.DataFrame(rows)


def predicted_against_measured(law: Law) -> pd.DataFrame:
    """One row a fitted model: run, unique_samples, compute, error, predicted, low, high."""
    predicted, low, high = predict(law.fit, law.form, law.points)
    return pd.DataFrame({"run": law.points.names, "unique_samples": law.points.unique, "compute": law.points.compute,
                         "error": law.points.error, "predicted": predicted, "low": low, "high": high})


def worth_of_repeats(repetition: dict[str, float], epochs: np.ndarray | None = None) -> pd.DataFrame:
    """What epochs are worth, in epochs of fresh data, for each named constant R: target, epochs, worth."""
    epochs = np.geomspace(1, 500, 60) if epochs is None else epochs
    points = scenario(np.ones_like(epochs), epochs, np.ones_like(epochs))
    return pd.concat([pd.DataFrame({"target": name, "epochs": epochs, "worth": effective_samples(points, r)})
                      for name, r in repetition.items()], ignore_index=True)


def more_data(law: Law, gmacs: float, samples: float, unique: np.ndarray) -> pd.DataFrame:
    """The same model and budget on more distinct pairs: unique_samples, predicted, low, high."""
    points = scenario(np.full(len(unique), gmacs), np.full(len(unique), samples), unique)
    predicted, low, high = predict(law.fit, law.form, points)
    return pd.DataFrame({"unique_samples": unique, "predicted": predicted, "low": low, "high": high})

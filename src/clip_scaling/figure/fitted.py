"""From rows of laws.csv to what a chart draws and a caption says."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

DEGENERATE = "DEGENERATE"


@dataclass(frozen=True)
class Target:
    """An evaluation set with the metric whose complement is the error, and the panel's title."""

    task: str
    dataset: str
    metric: str
    title: str


def power_laws(laws: pd.DataFrame, targets: list[Target], estimator: str | None = None) -> pd.DataFrame:
    """One row a family and target: E = beta C^alpha with its intervals, status and counts. NaN where none was fitted."""
    chosen = laws[laws["form"] == "power"]
    if estimator is not None:
        chosen = chosen[chosen["estimator"] == estimator]
    rows = []
    for target in targets:
        of_target = chosen[(chosen["task"] == target.task) & (chosen["dataset"] == target.dataset)
                           & (chosen["metric"] == target.metric)]
        for (family, _), law in of_target.groupby(["family", "estimator"], sort=True):
            first, by_name = law.iloc[0], law.set_index("parameter")
            rows.append({"panel": target.title, "family": family, **{
                f"{name}{suffix}": by_name[column].get(name, np.nan)
                for name in ("alpha", "beta") for suffix, column in (("", "value"), ("_low", "low"), ("_high", "high"))
            }, **first[["status", "estimator", "interval_method", "n_points", "n_left_out"]].to_dict()})
    return pd.DataFrame(rows).drop_duplicates(["panel", "family"]) if rows else pd.DataFrame(columns=["panel", "family"])


def lines(fits: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Polylines (panel, family, compute, error) over the compute of each family's points; none for a law not fitted."""
    made = []
    for fit in fits.to_dict("records"):
        own = points[(points["panel"] == fit["panel"]) & (points["family"] == fit["family"])]
        if own.empty or not np.isfinite(fit["alpha"]) or not np.isfinite(fit["beta"]):
            continue
        compute = np.geomspace(own["compute"].min(), own["compute"].max(), 24)
        made.append(pd.DataFrame({"panel": fit["panel"], "family": fit["family"], "compute": compute,
                                  "error": fit["beta"] * compute ** fit["alpha"]}))
    columns = ["panel", "family", "compute", "error"]
    made = [line[line["error"] <= 1.005] for line in made]  # no law says more than every answer wrong
    return pd.concat(made, ignore_index=True) if made else pd.DataFrame(columns=columns)


def sentences(fits: pd.DataFrame) -> str:
    """What the caption says of the fits: exponent with interval, or why there is none."""
    if fits.empty:
        return "No law is fitted yet."
    said = []
    for fit in fits.to_dict("records"):
        who = f"{fit['panel']}, {fit['family']}"
        if not np.isfinite(fit["alpha"]):
            said.append(f"{who}: {fit['status']}, no exponent ({fit['n_points']} models fitted, "
                        f"{fit['n_left_out']} left out)")
            continue
        interval = ""
        if np.isfinite(fit["alpha_low"]):
            interval = f" (95 % interval {fit['alpha_low']:.3f} to {fit['alpha_high']:.3f}, {fit['interval_method']})"
        said.append(f"{who}: exponent {fit['alpha']:.3f}{interval}, {fit['n_points']} models")
    estimator = ", ".join(sorted(set(fits["estimator"])))
    return f"Law E = β Cᵅ, estimator {estimator}. " + "; ".join(said) + "."

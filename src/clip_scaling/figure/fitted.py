"""From rows of laws.csv to what a chart draws and a caption says."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

ESTIMATOR = "log_ls"  # the paper's: least squares in log error


@dataclass(frozen=True)
class Target:
    """An evaluation set with the metric whose complement is the error, and the panel's title."""

    task: str
    dataset: str
    metric: str
    title: str


def power_laws(laws: pd.DataFrame, targets: list[Target], form: str = "power") -> pd.DataFrame:
    """One row a family and target: E = beta C^alpha with its intervals, status and counts. NaN where none was fitted."""
    chosen = laws[laws["form"] == form]
    rows = []
    for target in targets:
        own = chosen[(chosen["task"] == target.task) & (chosen["dataset"] == target.dataset)
                     & (chosen["metric"] == target.metric)]
        for family, by_family in own.groupby("family", sort=True):
            names = sorted(set(by_family["estimator"]), key=lambda name: (name != ESTIMATOR, name))
            rows.append({"panel": target.title, "dataset": target.dataset, "metric": target.metric, "family": family,
                         **_law(by_family[by_family["estimator"] == names[0]])})
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["panel", "family"])


def _law(rows: pd.DataFrame) -> dict:
    by_name = rows.set_index("parameter")
    numbers = {f"{name}{suffix}": float(by_name[column].get(name, np.nan))
               for name in ("alpha", "beta") for suffix, column in (("", "value"), ("_low", "low"), ("_high", "high"))}
    about = ["status", "estimator", "interval_method", "n_points", "n_left_out", "insample_mae_pp", "heldout_mae_pp"]
    return {**numbers, **(by_name.loc["alpha"] if "alpha" in by_name.index else rows.iloc[0])[about].to_dict()}


def lines(fits: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Polylines (panel, family, compute, error) over the compute of each family's fitted points; none without a law."""
    made = []
    for fit in fits.to_dict("records"):
        own = points[(points["panel"] == fit["panel"]) & (points["family"] == fit["family"])]
        own = own[own["fitted"] == "fitted"] if "fitted" in own else own
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
        return "No law is fitted to these."
    said = [f"{fit['panel']}, {fit['family']}: {_sentence(fit)}" for fit in fits.to_dict("records")]
    estimator = ", ".join(sorted(set(fits["estimator"])))
    return f"Law E = β Cᵅ, estimator {estimator}. " + "; ".join(said) + "."


def _sentence(fit: dict) -> str:
    if not np.isfinite(fit["alpha"]):
        return f"{fit['status']}, no exponent ({fit['n_points']} models fitted, {fit['n_left_out']} left out)"
    left = f", {fit['n_left_out']} left out" if fit["n_left_out"] else ""
    if not np.isfinite(fit["alpha_low"]):
        return f"exponent {fit['alpha']:.3f}, {fit['n_points']} models{left}"
    return (f"exponent {fit['alpha']:.3f} (95 % interval {fit['alpha_low']:.3f} to {fit['alpha_high']:.3f}, "
            f"{fit['interval_method'].replace('_', ' ')}), {fit['n_points']} models{left}")


def as_printed(lines: pd.DataFrame) -> str:
    """The paper's own fits (rows of published.frames.lines), for captions."""
    first = lines.drop_duplicates(["panel", "family"])
    said = []
    for law in first.to_dict("records"):
        interval = f" (95 % t-interval {law['alpha_low']:.3f} to {law['alpha_high']:.3f})" if np.isfinite(law["alpha_low"]) else ""
        said.append(f"{law['panel']}, {law['family']}: E = {law['beta']:.2f} C^{law['alpha']:.3f}{interval}")
    return "; ".join(said)

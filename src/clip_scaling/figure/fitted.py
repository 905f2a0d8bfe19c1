"""From rows of laws.csv to what a chart draws and a caption says."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..charts.html_table import HtmlTable, table
from ..core.wording import fixed, interval, listed, named, number, with_interval

ESTIMATOR = "log_ls"  # the paper's: least squares in log error


@dataclass(frozen=True)
class Target:
    """An evaluation set with the metric whose complement is the error, and the panel's title."""

    task: str
    dataset: str
    metric: str
    title: str


def power_laws(laws: pd.DataFrame, targets: list[Target], form: str = "power") -> pd.DataFrame:
    """One row a family and target: E = beta C^alpha with its intervals, status and counts; NaN where no law."""
    chosen = laws[laws["form"] == form]
    rows = []
    for target in targets:
        own = chosen[
            (chosen["task"] == target.task)
            & (chosen["dataset"] == target.dataset)
            & (chosen["metric"] == target.metric)
        ]
        for family, by_family in own.groupby("family", sort=True):
            names = sorted(set(by_family["estimator"]), key=lambda name: (name != ESTIMATOR, name))
            rows.append(
                {
                    "panel": target.title,
                    "dataset": target.dataset,
                    "metric": target.metric,
                    "family": family,
                    **_law(by_family[by_family["estimator"] == names[0]]),
                }
            )
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["panel", "family"])


def _law(rows: pd.DataFrame) -> dict:
    by_name = rows.set_index("parameter")
    numbers = {
        f"{name}{suffix}": float(by_name[column].get(name, np.nan))
        for name in ("alpha", "beta")
        for suffix, column in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
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
        made.append(
            pd.DataFrame(
                {
                    "panel": fit["panel"],
                    "family": fit["family"],
                    "compute": compute,
                    "error": fit["beta"] * compute ** fit["alpha"],
                }
            )
        )
    columns = ["panel", "family", "compute", "error"]
    made = [line[line["error"] <= 1.005] for line in made]  # no law says more than every answer wrong
    return pd.concat(made, ignore_index=True) if made else pd.DataFrame(columns=columns)


def law_table(fits: pd.DataFrame) -> HtmlTable | None:
    """E = beta C^alpha of each panel and family, with the 95 % interval of alpha, for below a figure."""
    if fits.empty:
        return None
    rows = fits.drop_duplicates(["panel", "family"])
    refused, rows = rows[rows["alpha"].isna()], rows[rows["alpha"].notna()]
    if rows.empty:
        return None
    between = map(interval, rows["alpha_low"], rows["alpha_high"])
    shown = {
        "evaluation set": rows["panel"],
        "distribution": rows["family"],
        "exponent α (95 % interval)": list(map(with_interval, (fixed(one, 4) for one in rows["alpha"]), between)),
        "factor β": rows["beta"].map(lambda beta: fixed(beta, 3) if beta < 1e5 else number(beta)),
    }
    for column, title in (("n_points", "models"), ("n_left_out", "left out")):
        if column in rows and rows[column].any():
            shown[title] = rows[column].astype(int)
    only = ""
    if rows["family"].nunique() == 1:
        only = f" Distribution: {shown.pop('distribution').iloc[0]}."
    said = f"Laws E = β Cᵅ of this figure; C in GMAC, E a fraction.{only} Intervals: {_methods(rows)}.{without(refused)}"
    return table(pd.DataFrame(shown), said, numeric=("exponent α (95 % interval)", "factor β"))


def _methods(rows: pd.DataFrame) -> str:
    """Which families' intervals were made in which way."""
    if "interval_method" not in rows:
        return "Student's t through the points of each fit"
    families = rows.groupby("interval_method", sort=False)["family"].agg(lambda own: listed(sorted(set(own))))
    return "; ".join(f"{named(method)} ({own})" for method, own in families.items())


def without(refused: pd.DataFrame) -> str:
    """Which pairs of set and distribution have no exponent, and why; nothing where each has one."""
    if refused.empty:
        return ""
    families, reasons = sorted(set(refused["family"])), sorted(set(refused["status"]))
    pairs = "pair" if len(refused) == 1 else "pairs"
    return (
        f" No exponent for {len(refused)} more {pairs} of set and distribution ({listed(families)}): "
        f"{listed([named(reason) for reason in reasons])}."
    )


def summary(fits: pd.DataFrame) -> str:
    """One sentence on how many laws there are, and why some are not."""
    if fits.empty:
        return "No law is fitted to these."
    none = fits[fits["alpha"].isna()]
    laws = len(fits) - len(none)
    said = f"Dashed: {laws} power law{'' if laws == 1 else 's'}, least squares in log error, listed below." if laws else ""
    return (said + without(none)).strip()


def as_printed(lines: pd.DataFrame) -> pd.DataFrame:
    """The paper's own fits (rows of published.frames.lines), one row a law."""
    return lines.drop_duplicates(["panel", "family"])[["panel", "family", "alpha", "alpha_low", "alpha_high", "beta"]]

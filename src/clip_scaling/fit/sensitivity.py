"""How the exponent depends on choices: number of bins, which front, which models."""

import numpy as np
import pandas as pd

from . import front
from .estimate import FEW
from .outcome import Points
from .targets import KEY, Target

BIN_COUNTS = range(3, 11)
COLUMNS = ["study", *KEY, "design", "setting", "alpha", "beta", "n_points"]


def sensitivity_frame(study: str, targets: list[Target]) -> pd.DataFrame:
    """One row a choice; targets with too few models are not in it."""
    rows = []
    for target in targets:
        if target.enough and len(target.points) >= FEW:
            rows += [{"study": study, **target.key, **row} for row in choices(target.points)]
    return pd.DataFrame(rows, columns=COLUMNS)


def choices(points: Points) -> list[dict]:
    """Exponents under every choice. `leave_one_out_*`: the models without which the exponent is least and largest."""
    whole = np.ones((1, len(points)))
    rows = [_row("bins", str(bins), front.fit_binned(points, whole, bins)[0][0], len(points)) for bins in BIN_COUNTS]
    rows.append(_row("all_models", "all", front.line_through(points), len(points)))
    best = front.pareto(points)
    if best.sum() >= 3:
        rows.append(_row("pareto_front", "strict", front.line_through(points.take(best)), int(best.sum())))
    if points.unique is not None:
        for unique in np.unique(points.unique):
            chosen = points.unique == unique
            if chosen.sum() >= 3 and chosen.sum() < len(points) and np.ptp(np.log(points.compute[chosen])) > 0:
                rows.append(_row("one_subset", f"{unique:.0f} unique", front.line_through(points.take(chosen)),
                                 int(chosen.sum())))
    without = whole - np.eye(len(points))
    return rows + _leave_one_out("front", front.fit_binned(points, without)[0], points) + _leave_one_out(
        "all_models", _lines(points, without), points)


def _lines(points: Points, counts: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(len(points)), np.log(points.compute)])
    return front.least_squares(design, points.log_error, counts).coefficients


def _leave_one_out(design: str, coefficients: np.ndarray, points: Points) -> list[dict]:
    ends = {"least": np.nanargmin(coefficients[:, 1]), "largest": np.nanargmax(coefficients[:, 1])}
    return [_row(f"leave_one_out_{design}", f"{end}, without {points.names[at]}", coefficients[at], len(points) - 1)
            for end, at in ends.items()]


def _row(design: str, setting: str, coefficients: np.ndarray, n_points: int) -> dict:
    return {"design": design, "setting": setting, "alpha": coefficients[1], "beta": np.exp(coefficients[0]),
            "n_points": n_points}

"""Invert a law: for a budget, which architecture, how many samples, what error, and how far beyond the data that lies.

Pure functions: a law and arrays in, frozen dataclasses or a table out.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..core.errors import UserError
from .forms import Form
from .outcome import Fit, Points
from .predict import predict

WARN_DECADES = 1.0
MOST = 1e24  # samples, or GMAC: the paper's largest runs are at 1e13


@dataclass(frozen=True)
class Architecture:
    """A model of the table, and its forward pass for one image-text pair in GMAC."""

    name: str
    gmacs: float


@dataclass(frozen=True)
class Law:
    """A fitted law with the points that it rests on."""

    fit: Fit
    form: Form
    points: Points

    @property
    def note(self) -> str | None:
        """A sentence where the law cannot choose a budget or an architecture."""
        if not self._falls():
            return f"form {self.form.name} does not fall with more compute on this target: a larger budget buys nothing"
        if "gmacs" in self.form.needs:
            return None
        return (f"form {self.form.name} knows total compute alone: at equal compute it predicts the same error for every "
                "architecture; take a form that reads gmacs, such as three_variable, to choose one")

    def _falls(self) -> bool:
        """Whether the largest model fitted would err less with ten times the samples, all new."""
        largest = self.points.take(np.array([int(np.argmax(self.points.compute))]))
        scales = {name: None if (values := getattr(largest, name)) is None else values * 10
                  for name in ("compute", "samples", "unique")}
        more = replace(largest, **scales)
        return bool(self.form.errors(more, self.fit.theta) < self.form.errors(largest, self.fit.theta) * (1 - 1e-9))


@dataclass(frozen=True)
class Budget:
    """What may be spent: total compute (GMAC), samples seen, or both; `unique`: distinct pairs at hand.

    `compute_by_architecture` replaces `compute` where a budget in GPU-hours buys differently by architecture.
    """

    compute: float | None = None
    samples: float | None = None
    unique: float | None = None
    compute_by_architecture: dict[str, float] | None = None

    def samples_for(self, architecture: Architecture) -> float:
        """Samples seen that the budget buys. Raises UserError without any limit."""
        compute = (self.compute_by_architecture or {}).get(architecture.name, self.compute)
        limits = [limit for limit in (None if compute is None else compute / architecture.gmacs, self.samples)
                  if limit is not None]
        if not limits:
            raise UserError("no budget", mend="give --budget, --gpu-hours or --samples")
        return min(limits)


@dataclass(frozen=True)
class Option:
    """One architecture under the budget. `beyond`: decades that compute, GMAC per sample, samples or unique lie outside
    the models that the law was fitted to; 0 inside.
    """

    architecture: str
    gmacs: float
    samples: float
    unique: float
    compute: float
    error: float
    low: float
    high: float
    beyond: dict[str, float]

    @property
    def extrapolation_decades(self) -> float:
        return max(self.beyond.values())

    @property
    def warning(self) -> str | None:
        """A sentence where the law is carried further than one decade, or past every error that there can be."""
        if self.error >= 1:
            return "the law predicts an error of 100 %: it does not hold there"
        name = max(self.beyond, key=self.beyond.get)
        if self.beyond[name] <= WARN_DECADES:
            return None
        return f"{name} lies {self.beyond[name]:.1f} decades beyond the models that the law was fitted to"


def options(law: Law, architectures: list[Architecture], budget: Budget) -> list[Option]:
    """Every architecture under the budget, least predicted error first. Raises UserError without fit or architectures."""
    if not law.fit.ok:
        raise UserError(f"the law has status {law.fit.status}: it predicts nothing", mend="choose another target or form")
    if not architectures:
        raise UserError("no architecture to choose from", mend="name one of the table")
    samples = np.array([budget.samples_for(one) for one in architectures])
    if not (samples >= 1).all():
        raise UserError("the budget buys no sample", mend="give a larger budget")
    gmacs = np.array([one.gmacs for one in architectures])
    unique = np.minimum(_unique(law, budget), samples)  # no run sees more distinct pairs than samples
    if not (samples < MOST).all() or not (gmacs * samples < MOST).all() or (unique < 1).any() or (unique >= MOST).any():
        raise UserError("the budget or --unique is beyond any model's", mend=f"stay between 1 and {MOST:g}")
    error, low, high = predict(law.fit, law.form, scenario(gmacs, samples, unique))
    if not np.isfinite([error, low, high]).all():
        raise UserError("the law predicts no finite error there", mend="choose a budget nearer to the fitted models, or another form")
    made = [Option(one.name, float(gmacs[k]), float(samples[k]), float(unique[k]), float(gmacs[k] * samples[k]),
                   float(error[k]), float(low[k]), float(high[k]), beyond(law.points, gmacs[k], samples[k], unique[k]))
            for k, one in enumerate(architectures)]
    return sorted(made, key=_rank)


def _rank(option: Option) -> tuple[float, float, float]:
    """Least error first, then least compute, then the smallest: numbers that only rounding tells apart are equal."""
    return float(f"{option.error:.9g}"), float(f"{option.compute:.9g}"), option.gmacs


def _unique(law: Law, budget: Budget) -> float:
    """Distinct pairs at hand: the cap, else the largest subset of the data, else unknown to the law."""
    if budget.unique is not None:
        return budget.unique
    return float(law.points.unique.max()) if law.points.unique is not None else np.nan


def scenario(gmacs: np.ndarray, samples: np.ndarray, unique: np.ndarray) -> Points:
    """Points without errors, to predict for."""
    gmacs, samples, unique = np.broadcast_arrays(*(np.asarray(part, dtype=float) for part in (gmacs, samples, unique)))
    return Points(("",) * len(gmacs), gmacs * samples, np.full(len(gmacs), np.nan), gmacs, samples, unique)


def beyond(points: Points, gmacs: float, samples: float, unique: float) -> dict[str, float]:
    """Decades outside the fitted models for each scale."""
    scales = {"compute": (points.compute, gmacs * samples), "GMAC per sample": (points.gmacs, gmacs),
              "samples seen": (points.samples, samples), "unique samples": (points.unique, unique)}
    made = {}
    for name, (values, value) in scales.items():
        if values is not None and np.isfinite(value):
            made[name] = float(max(0.0, np.log10(value / values.max()), np.log10(values.min() / value)))
    return made


def trade_off(law: Law, architectures: list[Architecture], computes: np.ndarray, unique: float | None = None) -> pd.DataFrame:
    """Rows for a chart: architecture, compute, samples_seen, error, low, high, beyond (decades), best (at that compute)."""
    rows = []
    for compute in computes:
        ranked = options(law, architectures, Budget(compute=float(compute), unique=unique))
        rows += [{"architecture": one.architecture, "compute": one.compute, "samples_seen": one.samples, "error": one.error,
                  "low": one.low, "high": one.high, "beyond": one.extrapolation_decades, "best": place == 0}
                 for place, one in enumerate(ranked)]
    return pd.DataFrame(rows)



"""What a fit is given and what it returns: frozen dataclasses, and enums for how it ended."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np


class Status(StrEnum):
    """How a fit ended."""

    CONVERGED = "CONVERGED"
    BOUND_HIT = "BOUND_HIT"  # the optimum lies on a bound: that parameter is not determined by the data
    MAX_ITER = "MAX_ITER"  # stopped before the tolerance was met
    DEGENERATE = "DEGENERATE"  # too few models, too narrow a range of compute, or a singular design: no estimate
    ABNORMAL = "ABNORMAL"  # the objective was not finite


class Estimator(StrEnum):
    """Objective; the solver follows from the form."""

    LOG_LS = "log_ls"  # least squares in log error
    LOG_LS_BINOMIAL = "log_ls_binomial"  # the same, weighted by the binomial variance of log error
    ROBUST_LOG = "robust_log"  # Huber's loss of the log error
    VARPRO = "varpro"  # least squares in error, by variable projection


class Reason(StrEnum):
    """Why a row was left out of a fit."""

    NEAR_CHANCE = "NEAR_CHANCE"
    FAILED_RUN = "FAILED_RUN"
    NO_ERROR_LEFT = "NO_ERROR_LEFT"  # error 0 has no logarithm


class Method(StrEnum):
    """How an interval was made."""

    T = "t"
    BOOTSTRAP_T = "bootstrap_t"  # studentised by HC3 standard errors
    BOOTSTRAP_EXPANDED = "bootstrap_expanded_percentile"  # percentiles widened for the degrees of freedom
    PROFILE = "profile"  # from a bound to where the objective rises too much
    NONE = "none"


@dataclass(frozen=True)
class Points:
    """Models to fit: arrays of equal length n. Units: GMAC, samples; `error` in (0, 1]."""

    names: tuple[str, ...]
    compute: np.ndarray
    error: np.ndarray
    gmacs: np.ndarray | None = None
    samples: np.ndarray | None = None
    unique: np.ndarray | None = None
    items: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.error)

    @property
    def log_error(self) -> np.ndarray:
        return np.log(self.error)

    @property
    def decades(self) -> float:
        """Orders of magnitude of compute that the models span."""
        return float(np.ptp(np.log10(self.compute))) if len(self) else 0.0

    def take(self, chosen: np.ndarray) -> "Points":
        """The models that a mask or an index array chooses."""
        index = np.flatnonzero(chosen) if np.asarray(chosen).dtype == bool else np.asarray(chosen, dtype=int)
        arrays = {name: None if (values := getattr(self, name)) is None else values[index]
                  for name in ("compute", "error", "gmacs", "samples", "unique", "items")}
        return replace(self, names=tuple(self.names[i] for i in index), **arrays)


@dataclass(frozen=True)
class Fit:
    """A fitted law. `theta`, `low`, `high`: (p,), NaN where not estimated; `draws`: (b, p), one bootstrap draw a row.

    `covariance` (p, p) is of the internal coordinates (logarithms of positive parameters), HC3; `scale` is the residual
    standard deviation of log error. Both serve prediction intervals.
    """

    form: str
    estimator: Estimator
    parameters: tuple[str, ...]
    theta: np.ndarray
    low: np.ndarray
    high: np.ndarray
    methods: tuple[Method, ...]
    status: Status
    n_points: int
    objective: float
    insample_mae_pp: float
    scale: float
    covariance: np.ndarray
    draws: np.ndarray

    @property
    def ok(self) -> bool:
        return self.status not in (Status.DEGENERATE, Status.ABNORMAL)

    def value(self, parameter: str) -> float:
        return float(self.theta[self.parameters.index(parameter)])

    def interval(self, parameter: str) -> tuple[float, float]:
        place = self.parameters.index(parameter)
        return float(self.low[place]), float(self.high[place])


def no_fit(form: str, estimator: Estimator, parameters: tuple[str, ...], n_points: int,
           status: Status = Status.DEGENERATE) -> Fit:
    """A fit without estimate: every number NaN."""
    empty = np.full(len(parameters), np.nan)
    return Fit(form, estimator, parameters, empty, empty, empty, (Method.NONE,) * len(parameters), status, n_points,
               np.nan, np.nan, np.nan, np.full((len(parameters),) * 2, np.nan), np.empty((0, len(parameters))))

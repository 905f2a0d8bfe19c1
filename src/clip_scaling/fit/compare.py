"""Do two pre-training distributions scale differently? The same question asked in three designs.

`front`: the paper's, its binned front against all models of the smaller family. `all_models`: a power law through all models
of each. `matched`: models paired by architecture and samples seen, with the nearest unique samples, so that only the
distribution differs; the difference of log errors is regressed on log compute.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from .bootstrap import LEVEL, t_interval, widening
from .closed import least_squares
from .estimate import DRAWS, fit
from .outcome import Fit, Method, Points, Status
from .targets import Rules, Target

_SAME_SAMPLES = np.log(1.1)  # paired runs differ by at most 10 % in samples seen
COLUMNS = ["study", "task", "dataset", "metric", "design", "quantity", "family_a", "family_b", "value_a", "value_b",
           "difference", "low", "high", "probability", "n_a", "n_b", "interval_method", "status"]


@dataclass(frozen=True)
class Difference:
    """b minus a, with its 95 % interval; `probability` that its sign holds, under the draws or Student's t."""

    design: str
    quantity: str  # "exponent", or "log_error" at equal compute
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    probability: float
    n_a: int
    n_b: int
    interval_method: str
    status: Status


def _degenerate(design: str, quantity: str, n_a: int, n_b: int) -> Difference:
    return Difference(design, quantity, *(np.nan,) * 6, n_a, n_b, Method.NONE, Status.DEGENERATE)


def pair(a: Points, b: Points) -> tuple[np.ndarray, np.ndarray]:
    """Indices into a and b of matched models: each of b with the model of a of the same GMAC and samples seen.

    Among several the one with the nearest unique samples, then the nearest samples seen, is taken; none twice.
    """
    chosen, partners = [], []
    for j in range(len(b)):
        gap = np.abs(np.log(a.samples / b.samples[j]))
        fitting = np.isclose(a.gmacs, b.gmacs[j], rtol=1e-6) & (gap <= _SAME_SAMPLES)
        fitting[chosen] = False
        if not fitting.any():
            continue
        apart = np.zeros(len(a)) if a.unique is None or b.unique is None else np.abs(np.log(a.unique / b.unique[j]))
        order = np.lexsort((gap, apart))
        chosen.append(int(next(i for i in order if fitting[i])))
        partners.append(j)
    return np.array(chosen, dtype=int), np.array(partners, dtype=int)


def matched(a: Points, b: Points, min_pairs: int) -> list[Difference]:
    """Paired differences: of the exponent (regression on log compute) and of log error at equal compute (their mean)."""
    i, j = pair(a, b)
    n = len(i)
    made = [_degenerate("matched", "exponent", n, n), _degenerate("matched", "log_error", n, n)]
    if n < 2:
        return made
    log_a, log_b = a.log_error[i], b.log_error[j]
    apart, log_c = log_b - log_a, (np.log(a.compute[i]) + np.log(b.compute[j])) / 2
    made[1] = _by_t("log_error", log_a.mean(), log_b.mean(), apart.mean(), apart.std(ddof=1) / np.sqrt(n), n, n - 1)
    if n < max(min_pairs, 3) or np.ptp(log_c) < 1e-9:
        return made
    design = np.column_stack([np.ones(n), log_c])
    slopes = [least_squares(design, y, np.ones((1, n))) for y in (log_a, log_b, apart)]
    scale = np.sqrt((slopes[2].residual[0] ** 2).sum() / (n - 2))
    error = scale / np.sqrt(((log_c - log_c.mean()) ** 2).sum())
    made[0] = _by_t("exponent", *(float(s.coefficients[0, 1]) for s in slopes), error, n, n - 2)
    return made


def _by_t(quantity: str, value_a: float, value_b: float, difference: float, error: float, n: int, freedom: int) -> Difference:
    low, high = t_interval(np.array(difference), error, freedom)
    probability = float(stats.t.cdf(abs(difference) / error, freedom)) if error > 0 else 1.0
    return Difference("matched", quantity, float(value_a), float(value_b), float(difference), float(low), float(high),
                      probability, n, n, Method.T, Status.CONVERGED)


def unpaired(a: Points, b: Points, form: str, design: str, draws: int = DRAWS) -> Difference:
    """Difference of exponents from independent draws: bootstrap, or Student's t for a family of fewer than 6 models.

    The probability is of the sign under these draws.
    """
    laws = [fit(points, form, draws=draws) for points in (a, b)]
    if not all(law.ok for law in laws):
        return _degenerate(design, "exponent", len(a), len(b))
    drawn = [_exponents(law, draws, seed) for seed, law in enumerate(laws)]
    apart = drawn[1] - drawn[0]
    apart = apart[np.isfinite(apart)]
    value = laws[1].value("alpha") - laws[0].value("alpha")
    low, high = np.quantile(apart, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    methods = "+".join(dict.fromkeys("bootstrap" if len(law.draws) else "t" for law in laws))
    return Difference(design, "exponent", laws[0].value("alpha"), laws[1].value("alpha"), value, float(low), float(high),
                      float((np.sign(apart) == np.sign(value)).mean()), len(a), len(b), methods, Status.CONVERGED)


def _exponents(law: Fit, draws: int, seed: int) -> np.ndarray:
    """Draws of the exponent, widened for the degrees of freedom: as they are they scatter too little for few models."""
    place, freedom = law.parameters.index("alpha"), law.n_points - len(law.parameters)
    if len(law.draws):
        # Independent of the other family's draws: both come from one generator when the counts are equal.
        drawn = np.random.default_rng(seed).permutation(law.draws[:, place])
        return law.theta[place] + widening(law.n_points, freedom) * (drawn - law.theta[place])
    noise = np.random.default_rng(seed).standard_t(freedom, size=draws)
    return law.theta[place] + noise * np.sqrt(law.covariance[place, place])


def comparison_frame(study: str, targets: list[Target], rules: Rules, draws: int = DRAWS) -> pd.DataFrame:
    """Every pair of families on every evaluation set that both have, in the three designs."""
    rows, groups = [], {}
    for target in targets:
        groups.setdefault((target.task, target.dataset, target.metric), []).append(target)
    for (task, dataset, metric), members in groups.items():
        # The family with more models first: the paper's LAION against CLIP-WIT.
        members = sorted(members, key=lambda target: (-len(target.points), target.family))
        for a, b in combinations(members, 2):
            for one in differences(a, b, rules, draws):
                rows.append({"study": study, "task": task, "dataset": dataset, "metric": metric, "family_a": a.family,
                             "family_b": b.family, **{name: getattr(one, name) for name in Difference.__dataclass_fields__}})
    return pd.DataFrame(rows, columns=COLUMNS)


def differences(a: Target, b: Target, rules: Rules, draws: int = DRAWS) -> list[Difference]:
    made = []
    for form, design in (("binned_front", "front"), ("power", "all_models")):
        made.append(unpaired(a.points, b.points, form, design, draws) if a.enough and b.enough
                    else _degenerate(design, "exponent", len(a.points), len(b.points)))
    return [*made, *matched(a.points, b.points, rules.min_points)]

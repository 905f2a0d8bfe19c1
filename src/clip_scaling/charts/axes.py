"""Logarithmic axes: few round marks that never touch, written as people write numbers."""

import math
from collections.abc import Iterator

import altair as alt
import pandas as pd

from ..core.wording import raised

# Vega expressions that write a mark's value.
PLAIN = "format(datum.value, ',~g')"
COUNT = "replace(format(datum.value, '~s'), 'G', 'B')"  # 34B samples, as the paper names its budgets
_POWER = "floor(log(datum.value) / LN10 + 1e-9)"
_RAISED = "substring('⁰¹²³⁴⁵⁶⁷⁸⁹', {0}, {0} + 1)"
COMPUTE = (
    f"datum.value < 1e5 ? {PLAIN} : replace(format(datum.value / pow(10, {_POWER}), '~g') + '×10', /^1×/, '')"
    f" + ({_POWER} > 9 ? {_RAISED.format(f'floor({_POWER} / 10)')} : '') + {_RAISED.format(f'{_POWER} % 10')}"
)

# Marks wanted: labels beside each other need more room than labels above each other, and powers of ten most.
POWERS, ACROSS, UP = 2, 3, 4
ALL = 100.5  # per cent: no error is larger, and a point at 100 is not cut in half
_MANTISSAS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))


def domain(*values: pd.Series, most: float = math.inf) -> tuple[float, float]:
    """Ends of an axis: all positive `values` and a little room, since points on the frame are cut; at most `most`."""
    positive = pd.concat(values).pipe(lambda all_values: all_values[all_values > 0])
    low, high = float(positive.min()), float(positive.max())
    room = max((high / low) ** 0.05, 1.02)
    return float(f"{low / room:.4g}"), float(f"{max(min(high * room, most), high):.4g}")


def ticks(low: float, high: float, least: int = UP) -> list[float]:
    """Round numbers inside [low, high]: the coarsest steps that give `least` of them."""
    return next(marks for marks in _ladder(low, high) if len(marks) >= least)


def _ladder(low: float, high: float) -> Iterator[list[float]]:
    """Ever finer marks: decades, parts of a decade, and equal steps for an axis shorter than these."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for stride in (3, 2, 1):
        yield _inside(low, high, (10.0**power for power in powers if power % stride == 0))
    for steps in _MANTISSAS:
        yield _inside(low, high, (step * 10.0**power for power in powers for step in steps))
    for power in range(powers[-1], powers[-1] - 15, -1):
        for step in (5 * 10.0**power, 2 * 10.0**power, 10.0**power):
            whole = range(math.ceil(low / step), math.floor(high / step) + 1)
            yield _inside(low, high, (i * step for i in whole))


def _inside(low: float, high: float, marks: Iterator[float]) -> list[float]:
    return [mark for mark in (float(f"{value:.12g}") for value in marks) if low <= mark <= high]


def log_channel(
    channel: type, field: str, title: str, ends: tuple[float, float], *, label: str = PLAIN
) -> alt.X | alt.Y:
    """Position on a logarithmic axis from ends[0] to ends[1]; `label`: PLAIN, COUNT or COMPUTE."""
    least = UP if channel is alt.Y else POWERS if label == COMPUTE and ends[1] >= 1e5 else ACROSS
    return channel(
        field,
        type="quantitative",
        title=title,
        axis=alt.Axis(values=ticks(*ends, least), labelExpr=label),
        scale=alt.Scale(type="log", domain=list(ends), nice=False),
    )


def written(value: float) -> str:
    """Compute as its axis writes it, three digits: 2.25×10¹¹."""
    if value < 1e5:
        return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
    mantissa, power = f"{value:.2e}".split("e+")
    return f"{float(mantissa):g}×10{raised(int(power))}"

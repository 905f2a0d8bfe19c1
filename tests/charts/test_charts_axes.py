"""Marks are round, few and inside the axis; labels are numbers as people write them."""

import re

import altair as alt
import pandas as pd
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from clip_scaling.charts import axes


@given(st.floats(0.05, 1e12), st.floats(1.01, 1e9), st.sampled_from([axes.POWERS, axes.ACROSS, axes.UP]))
def test_marks_lie_inside_the_axis_and_are_enough_but_few(low, factor, least):
    high = low * factor
    marks = axes.ticks(low, high, least)
    assert marks == sorted(set(marks)) and all(low <= mark <= high for mark in marks)
    assert least <= len(marks) <= 9


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=5))
def test_an_axis_is_wider_than_its_data_but_not_than_all(values):
    low, high = axes.domain(pd.Series(values), most=100.5)
    assert low < min(values) and max(values) <= high <= 100.5


def labels(low: float, high: float, label: str) -> list[str]:
    """The labels that Vega writes along an axis."""
    x = axes.log_channel(alt.X, "x", "", (low, high), label=label)
    chart = alt.Chart(pd.DataFrame({"x": [low, high]})).mark_point().encode(x=x).properties(width=600)
    return re.findall(r"<text[^>]*>([^<]+)</text>", vl_convert.vegalite_to_svg(chart.to_dict()))


@pytest.mark.parametrize(
    ("low", "high", "label", "expected"),
    [
        (20, 3_500, axes.COMPUTE, ["30", "100", "300", "1,000", "3,000"]),
        (2e10, 7e12, axes.COMPUTE, ["10¹¹", "10¹²"]),
        (2e11, 2e12, axes.COMPUTE, ["3×10¹¹", "10¹²"]),
        (2.5e9, 4e10, axes.COUNT, ["3B", "10B", "30B"]),
        (32, 91, axes.PLAIN, ["40", "50", "60", "80"]),
    ],
)
def test_labels(low, high, label, expected):
    assert labels(low, high, label) == expected


@pytest.mark.parametrize(("value", "text"), [(29.31, "29.3"), (3_040, "3,040"), (2.246e11, "2.25×10¹¹")])
def test_compute_in_a_tooltip(value, text):
    assert axes.written(value) == text

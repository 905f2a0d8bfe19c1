"""Error against compute: what is encoded, and axes that a reader can read."""

import made_study
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_scaling.charts import panels
from clip_scaling.core.schema import errors_frame


@pytest.fixture(scope="module")
def points():
    errors = errors_frame(made_study.runs(), made_study.scores())
    return errors[errors["metric"] == "acc1"].assign(panel=lambda frame: frame["dataset"])


def test_a_panel_a_set_with_units_legend_and_the_run_in_its_tooltip(points):
    spec = panels.error_against_compute(points).to_dict()
    assert [panel["title"] for panel in spec["concat"]] == list(dict.fromkeys(points["panel"]))
    encoding = spec["concat"][0]["layer"][-1]["encoding"]
    assert "GMAC" in encoding["x"]["title"] and "%" in encoding["y"]["title"]
    assert encoding["x"]["scale"]["type"] == encoding["y"]["scale"]["type"] == "log"
    assert encoding["tooltip"][0]["field"] == "run"
    assert encoding["color"]["scale"]["domain"] == ["icons", "pictorial"]


def test_the_chart_leaves_its_table_alone(points):
    before = points.copy()
    panels.error_against_compute(points)
    assert points.equals(before)


@given(st.floats(0.05, 99.0), st.floats(1.05, 30.0))
def test_ticks_lie_inside_the_axis(low, factor):
    high = min(low * factor, 100.0)
    marks = panels.ticks(low, high)
    assert marks == sorted(marks) and all(low <= mark <= high for mark in marks)
    if high / low > 2.5:
        assert len(marks) >= 3

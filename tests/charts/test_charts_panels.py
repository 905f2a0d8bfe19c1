"""Error against compute: what is encoded, and axes that a reader can read."""

import made_study
import pytest

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


def test_a_model_left_out_is_hollow_and_never_pale(points):
    marked = points.assign(fitted=["left out"] + ["fitted"] * (len(points) - 1))
    encoding = panels.error_against_compute(marked).to_dict()["concat"][0]["layer"][-1]["encoding"]
    assert encoding["fillOpacity"]["condition"] == {"test": "datum.fitted === 'left out'", "value": 0}
    assert encoding["stroke"]["field"] == encoding["color"]["field"] and "opacity" not in encoding


def test_shared_axes_are_the_same_in_each_panel(points):
    def domains(**how):
        spec = panels.error_against_compute(points, **how).to_dict()
        return {str(panel["layer"][0]["encoding"]["y"]["scale"]["domain"]) for panel in spec["concat"]}

    assert len(domains(shared=True)) == 1 < len(domains())


def test_the_tooltip_of_a_point_is_short(points):
    assert len(panels.tooltips(panels.told(points).columns)) <= 7

"""An interval that the axis cuts is marked, and told."""

import numpy as np
import pandas as pd

from clip_scaling.charts import intervals


def laws(low: list[float], high: list[float]) -> pd.DataFrame:
    rows = {"panel": ["a-b", "c"], "family": "LAION", "alpha": [-0.1, -0.2], "alpha_low": low, "alpha_high": high}
    return pd.DataFrame(rows | {"n_points": 9, "interval_method": "t"})


def arrows(rows: pd.DataFrame) -> list[str]:
    marks = [layer["mark"] for layer in intervals.exponents(rows).to_dict()["layer"]]
    return [mark["shape"] for mark in marks if "shape" in mark]


def test_an_axis_that_shows_all_has_no_arrow():
    rows = laws([-0.15, -0.25], [-0.05, -0.15])
    assert intervals.beyond(rows) == "" and arrows(rows) == []


def test_a_long_interval_ends_in_an_arrow_and_is_told_in_full():
    rows = laws([-9.0, -0.25], [-0.05, -0.15])
    assert "(a-b, LAION: −9.00 to −0.05)" in intervals.beyond(rows) and arrows(rows) == ["triangle-left"]
    low, high = intervals.frame(rows)
    assert -9 < low < -0.2 and high > -0.05


def test_an_exponent_without_interval_is_no_cut():
    assert intervals.beyond(laws([np.nan, -0.25], [np.nan, -0.15])) == ""

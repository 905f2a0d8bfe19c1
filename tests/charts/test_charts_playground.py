"""The law that the browser fits is the law that the package fits."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.charts import playground, style
from clip_scaling.published.paper_fit import front_bins


def made(count: int = 12) -> pd.DataFrame:
    compute = np.geomspace(1e9, 1e12, count)
    error = 3 * compute**-0.08 * np.exp(np.random.default_rng(0).normal(0, 0.05, count))
    return pd.DataFrame(
        {
            "run": [f"r{i}" for i in range(count)],
            "family": "LAION",
            "subset": "LAION-2B",
            "architecture": "ViT-B-32",
            "samples_seen": 1_000,
            "compute": compute,
            "error": error,
            "dataset": "imagenet1k",
            "metric": "acc1",
        }
    )


def laws_drawn(spec: dict) -> list[str]:
    """The texts `LAION: E = ...` of the drawing."""
    import re

    import vl_convert

    return re.findall(r">(LAION: E = [^<]+)<", vl_convert.vegalite_to_svg(json.dumps(spec)))


@pytest.mark.parametrize("through", ["all models", "binned front"])
def test_the_drawn_law_is_least_squares_in_log_error(through):
    rows = made()
    spec = style.specification(playground.playground(rows, "imagenet1k"), "law")
    for param in spec["params"]:
        if param["name"] == "fit_choice":
            param["value"] = through
    x, y = np.log10(rows["compute"]), np.log10(rows["error"])
    if through == "binned front":
        x, y = front_bins(rows["compute"], rows["error"])
    slope, _ = np.polyfit(x, y, 1)
    [text] = laws_drawn(spec)
    assert float(text.split("^")[1].replace("−", "-")) == pytest.approx(slope, abs=6e-4)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(6, 14), min_size=2, max_size=30, unique=True))
def test_bins_hold_every_model_once(logs):
    """The expression that bins in the browser gives 0 to 4, as the paper's edges do."""
    low, high = min(logs), max(logs)
    width = (high + playground.MARGIN - low) / playground.BINS
    bins = [min(playground.BINS - 1, int((value - low) // width)) for value in logs]
    assert min(bins) == 0 and max(bins) <= playground.BINS - 1

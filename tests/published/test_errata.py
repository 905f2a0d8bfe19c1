"""The errata's numbers, as a first reading found them, and how their helpers count."""

import numpy as np
import pandas as pd
import pytest

from clip_scaling.published.errata import ERRATA, laws
from clip_scaling.published.errata import errata as make
from clip_scaling.published.errata.model import COLUMNS


@pytest.fixture(scope="module")
def rows(published):
    return make(published)


def value(rows, start):
    found = rows[rows["evidence"].str.startswith(start)]
    assert len(found) == 1, (start, len(found))
    return found["value"].item()


def test_all_points_have_evidence(rows):
    assert list(rows.columns) == COLUMNS
    assert [one.id for one in ERRATA] == list(range(1, 19))
    assert rows["erratum"].unique().tolist() == list(range(1, 19))
    assert rows["value"].notna().all()


@pytest.mark.parametrize(
    ("start", "expected", "tolerance"),
    [
        ("E = beta C^alpha, least squares: mean", 3.3, 0.05),
        ("E = beta C^alpha, least squares: the same", 4.6, 0.05),
        ("E = beta C^alpha, the paper's bins: mean", 3.6, 0.05),
        ("E = beta C^alpha, the paper's bins: the same", 2.9, 0.05),
        ("E = a G^-x + b S_eff^-y, least squares in log error: mean", 0.78, 0.01),
        ("E = a G^-x + b S_eff^-y, least squares in log error: the same", 0.56, 0.01),
        ("E = a G^-x + b S_eff^-y, Huber's loss of log error, 0.01: mean", 0.73, 0.01),
        ("E = a G^-x + b S_eff^-y, Huber's loss of log error, 0.01: the same", 0.63, 0.01),
        ("ImageNet: exponent of LAION, Pareto front", -0.111, 0.0005),
        ("ImageNet: exponent of LAION, all 29 models", -0.101, 0.0005),
        ("ImageNet: exponent of LAION, LAION-2B, all models", -0.1145, 0.0001),
        ("ImageNet: exponent of LAION, LAION-2B, 5 bins", -0.1175, 0.0001),
        ("sets of 41 whose error rises", 12, 0),
        ("runs of 29 with a global batch", 16, 0),
        ("largest global batch", 90112, 0),
        ("most GPUs in a run", 1024, 0),
        ("ViT-B-16, 13B: ImageNet gain", 1.13, 0.005),
        ("ViT-L-14_LAION-400M_34B: samples seen in the released scores", 34.216, 0.0005),
        ("ViT-L-14_LAION-400M_34B: epochs x samples", 34.692, 0.0005),
        ("ViT-B-32_LAION-2B_34B_laion2b_s34b_b79k: compute", 2.911e11, 5e7),
        ("ViT-H-14_LAION-2B_34B: ImageNet top-1 largest of epochs 114 to 119", 73.88, 1e-9),
        ("difference between the two trials", 0.39, 1e-9),
        ("Table 9 above 224 px", 3.45, 1e-6),
        ("ViT-g-14 34B, MS-COCO image retrieval: law minus", 1.14, 0.005),
        ("ViT-bigG-14 39B, ImageNet: the paper's law", 80.76, 0.005),
    ],
)
def test_evidence_is_what_was_found(rows, start, expected, tolerance):
    assert value(rows, start) == pytest.approx(expected, abs=tolerance + 1e-12)


def test_intervals_overlap_yet_every_other_choice_keeps_the_order(rows):
    shared = rows[rows["evidence"].str.contains("width that the two intervals share")]
    kept = rows[rows["evidence"].str.contains("13 other choices")]
    assert len(shared) == len(kept) == 4
    assert (shared["value"] > 0).all()
    assert (kept["value"] == 13).all()


def test_bootstrap_interval_is_the_one_found_and_depends_on_the_seed_alone(published):
    rows = laws._family(published, laws.TARGETS[0])
    low, high = laws.bootstrap_alpha(rows)
    assert (low, high) == pytest.approx((-0.138, -0.088), abs=0.002)
    assert laws.bootstrap_alpha(rows, draws=50) == laws.bootstrap_alpha(rows, draws=50)
    assert laws.bootstrap_alpha(rows, draws=50, seed=1) != laws.bootstrap_alpha(rows, draws=50)


def test_controls_in_no_public_file_are_those_named(rows):
    none = rows[rows["evidence"].str.startswith("public ImageNet scores") & (rows["value"] == 0)]
    assert none["evidence"].str.extract(r"round to (\S+)")[0].tolist() == ["63.37", "63.56", "63.67", "67.34", "67.86"]


def test_front_keeps_what_no_cheaper_model_beats():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"compute": random.uniform(1, 9, 40).round(), "error": random.uniform(0, 1, 40)})
    kept = laws.front(frame)
    for row in frame.itertuples():
        beaten = ((frame["compute"] <= row.compute) & (frame["error"] < row.error)).any()
        assert (row.Index in kept.index) == (not beaten)

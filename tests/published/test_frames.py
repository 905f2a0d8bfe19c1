"""Rows behind the figures: how many, of what, and that lines are the fits of their points."""

import numpy as np
import pytest

from clip_scaling.published import frames

POINTS = {  # rows and panels
    "figure_1a": (64, 2),
    "figure_1b": (64, 2),
    "text_retrieval": (64, 2),
    "figure_2": (66, 6),
    "figure_3": (11, 1),
    "figure_5": (30, 1),
    "figure_8a": (41, 1),
    "figure_8b": (41, 1),
    "figure_9": (90, 9),
    "figure_10": (80, 8),
    "figure_11": (90, 9),
}


@pytest.mark.parametrize("name", POINTS)
def test_points_are_tidy(published, name):
    rows = getattr(frames, name)(published)
    assert (len(rows), rows["panel"].nunique()) == POINTS[name]
    assert list(rows.columns)[: len(frames.POINT_COLUMNS)] == frames.POINT_COLUMNS
    assert rows[frames.POINT_COLUMNS].notna().all().all()
    np.testing.assert_allclose(rows["compute"], rows["gmacs_per_sample"] * rows["samples_seen"].astype(float))
    np.testing.assert_allclose(rows["value"] + rows["error"], 1)


def test_lines_are_straight_in_logarithms_with_the_law_they_name(published):
    lines = frames.lines(frames.figure_1a(published))
    assert list(lines.columns) == frames.LINE_COLUMNS
    assert len(lines[["panel", "family"]].drop_duplicates()) == 4
    np.testing.assert_allclose(lines["error"], lines["beta"] * lines["compute"] ** lines["alpha"])
    assert "E = 5.86 C^-0.111" in set(lines["law"])


def test_extrapolation_goes_to_the_largest_prediction(published):
    rows = frames.figure_8a(published)
    predicted = rows[rows["kind"] == "prediction"]
    assert len(predicted) == 12
    line = frames.extrapolation_line(rows)
    assert line["compute"].max() == pytest.approx(predicted["compute"].max())
    assert line["compute"].max() > rows.loc[rows["kind"] == "model", "compute"].max()


def test_figure_4_has_all_of_table_9_and_timms_own(published):
    rows = frames.figure_4(published)
    assert rows.groupby("panel")["printed"].count().tolist() == [19, 19]
    assert len(rows) == 48 and rows["timm"].notna().all()


def test_figure_5_is_the_mean_of_8_tasks(published):
    rows = frames.figure_5(published).set_index(["run", "stage"])["value"]
    nine = frames.figure_10(published)
    own = nine[nine["run"] == "ViT-H-14_LAION-2B_34B"]["value"]
    assert len(own) == 8
    assert rows["ViT-H-14_LAION-2B_34B", "fine-tuned"] == pytest.approx(own.mean())


def test_figure_12_has_five_resnets_and_three_vits(published):
    rows = frames.figure_12(published)
    assert rows.groupby(["panel", "kind"]).size().to_dict() == {
        ("ImageNet", "ResNet"): 5,
        ("ImageNet", "ViT"): 3,
        ("MS-COCO image retrieval", "ResNet"): 5,
        ("MS-COCO image retrieval", "ViT"): 3,
    }


def test_learning_curves_end_at_the_runs_samples(published):
    rows = frames.learning_curves(published)
    assert (rows["run"].nunique(), len(rows)) == (29, 3359)
    assert (rows["epoch"] <= rows["epochs"]).all()
    last = rows.groupby("run")["samples_seen"].max()
    seen = published.runs.set_index("run")["samples_seen"].astype(float).loc[last.index]
    assert (last / seen).between(0.999, 1.02).all()


def test_resources_add_up_to_what_the_paper_prints(published):
    rows = frames.throughput(published)
    assert rows["gpu_hours"].sum() == pytest.approx(1_058_318, abs=0.5)
    assert rows["energy_mwh"].sum() == pytest.approx(370.41, abs=0.005)
    assert (rows["samples_per_second_per_gpu"] * rows["gpus"].astype(float)).tolist() == pytest.approx(
        rows["samples_per_second"].tolist()
    )

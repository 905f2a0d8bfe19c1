"""Counts, sums and single values of data/published, and what bad data is told."""

import shutil

import numpy as np
import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.published.data import load
from clip_scaling.published.layout import TABLES

ROWS = {
    "runs": 37,
    "scores": 3712,
    "training": 29,
    "resources": 29,
    "linear_probe": 4752,
    "learning_curves": 3359,
    "architectures": 28,
    "evaluation_sets": 41,
    "controls": 13,
    "duplicates": 10,
    "pretraining_sets": 5,
    "joint_fine_tuning": 260,
    "imagenet_fine_tuning": 144,
    "fine_tuning_hyperparameters": 136,
    "openai_resnets": 8,
    "later_models": 2,
    "printed_tables": 1513,
    "claims": 112,
}
SUMS = {  # the released and transcribed columns, added up before they were carried over
    ("linear_probe", "acc1"): 2851.476198,
    ("learning_curves", "acc1"): 1952.40472,
    ("training", "samples_per_second"): 2531652.937,
    ("resources", "gpu_hours"): 1058317,
    ("architectures", "gmacs_per_sample"): 7369.44,
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_its_rows_each_with_a_source(published, name):
    frame = getattr(published, name)
    assert len(frame) == ROWS[name]
    assert (frame["source"].str.len() > 5).all()


@pytest.mark.parametrize(("name", "column"), SUMS)
def test_columns_add_up(published, name, column):
    assert getattr(published, name)[column].astype(float).sum() == pytest.approx(SUMS[name, column], rel=1e-9)


def test_zero_shot_scores_are_32_models_on_41_sets(published):
    scores = published.scores
    assert scores["run"].nunique() == 32
    assert scores["dataset"].nunique() == 41
    assert scores.groupby("metric").size().to_dict() == {
        "acc1": 1216,
        "acc5": 1120,
        "mean_per_class_recall": 1216,
        "mean_average_precision": 32,
        "image_retrieval_recall@5": 64,
        "text_retrieval_recall@5": 64,
    }
    assert scores.loc[scores["metric"] == "acc1", "value"].sum() == pytest.approx(581.4337129, rel=1e-9)


@pytest.mark.parametrize(
    ("run", "dataset", "metric", "value"),
    [
        ("ViT-H-14_LAION-2B_34B", "imagenet1k", "acc1", 0.77972),
        ("ViT-L-14_CLIP-WIT_13B", "imagenet_robustness", "acc1", 0.7138686445),
        ("ViT-B-16_CLIP-WIT_13B", "flickr30k", "text_retrieval_recall@5", 0.963),
        ("ViT-g-14_LAION-2B_13B", "vtab+", "acc1", 0.5654112282),
    ],
)
def test_single_scores(published, run, dataset, metric, value):
    rows = published.scores
    found = rows[(rows["run"] == run) & (rows["dataset"] == dataset) & (rows["metric"] == metric)]
    assert found["value"].item() == pytest.approx(value, abs=1e-6)


def test_compute_is_gmacs_times_samples_and_subsets_have_their_pairs(published):
    runs = published.runs.set_index("run")
    compute = runs["gmacs_per_sample"] * runs["samples_seen"].astype(float)
    assert compute["ViT-H-14_LAION-2B_34B"] == pytest.approx(6631508868008.96)
    assert compute["ViT-B-16_LAION-400M_13B"] == pytest.approx(268122270972.16)
    assert runs.groupby("subset")["unique_samples"].first().to_dict() == {
        "CLIP-WIT": 400_000_000,
        "LAION-2B": 2_320_000_000,
        "LAION-400M": 407_332_084,
        "LAION-80M": 80_000_415,
    }
    assert runs["family"].value_counts().to_dict() == {"LAION": 34, "CLIP-WIT": 3}


def test_means_are_the_means_of_their_members(published):
    sets = published.evaluation_sets.set_index("dataset")
    values = published.scores[published.scores["metric"] == "acc1"].pivot(
        index="dataset", columns="run", values="value"
    )
    for mean, flag, count in (
        ("imagenet_robustness", "in_imagenet_robustness", 5),
        ("vtab", "in_vtab_zero_shot", 19),
        ("vtab+", "in_vtab_plus", 35),
    ):
        members = sets.index[sets[flag] == 1]
        assert len(members) == count
        np.testing.assert_allclose(values.loc[members].mean(), values.loc[mean], atol=1e-9)


def test_scores_are_whole_multiples_of_the_images_but_for_seven_of_caltech(published):
    rows = published.scores
    rows = rows[rows["metric"].isin(["acc1", "image_retrieval_recall@5", "text_retrieval_recall@5"])]
    hits = (rows["value"] * rows["n_items"].astype(float)).dropna()
    off = rows.loc[hits.index[(hits - hits.round()).abs() > 0.01]]
    assert off["dataset"].value_counts().to_dict() == {"vtab/caltech101": 7}


def test_probe_scores_take_the_best_of_nine_settings_on_the_test_set(published):
    rows = published.all_scores.set_index(["run", "task", "dataset"])["value"]
    grid = published.linear_probe
    chosen = grid[
        (grid["run"] == "ViT-H-14_LAION-2B_34B") & (grid["dataset"] == "imagenet1k") & (grid["shots"] == "full")
    ]
    assert len(chosen) == 9
    assert rows["ViT-H-14_LAION-2B_34B", "linear_probe_full", "imagenet1k"].item() == chosen["acc1"].max()
    assert rows["ViT-H-14_LAION-2B_34B", "linear_probe_full", "vtab"].item() == pytest.approx(0.7596, abs=5e-5)


def test_a_table_with_an_unknown_run_is_refused(tmp_path, published):
    shutil.copytree(published.folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "learning_curves.csv"
    path.write_text(path.read_text().replace("ViT-g-14_LAION-2B_13B,1,", "ViT-g-14_nowhere,1,"))
    with pytest.raises(UserError, match="unknown run 'ViT-g-14_nowhere'"):
        load(tmp_path)


def test_a_score_over_one_is_refused(tmp_path, published):
    shutil.copytree(published.folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "controls.csv"
    path.write_text(path.read_text().replace("0.6734", "67.34"))
    with pytest.raises(UserError, match="value is '67.34'"):
        load(tmp_path)

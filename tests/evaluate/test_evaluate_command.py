"""`clip-scaling evaluate` for any model: JSON out, one sentence for each mistake."""

import json

import pytest

pytest.importorskip("torch")


def test_two_runs_on_two_sets_as_json(run_folders, classification, retrieval, clip_scaling):
    words = [word for folder in run_folders for word in ("--model", folder)]
    ended = clip_scaling("evaluate", *words, "--data", classification, "--data", retrieval, "--json")
    assert ended.code == 0
    rows = json.loads(ended.out)
    assert {row["model"] for row in rows} == {folder.name for folder in run_folders}
    assert {(row["dataset"], row["task"]) for row in rows} == {
        ("patches", "zeroshot_classification"), ("captions", "retrieval"),
    }
    assert all(0 <= row["value"] <= 1 and row["n_items"] > 0 and row["n_classes"] > 0 for row in rows)


def test_linear_probe_of_one_folder(run_folders, tmp_path, make, clip_scaling):
    data = make.classification_folder(tmp_path / "probed", items=140, splits=("train", "test"))
    ended = clip_scaling("evaluate", "--model", run_folders[0], "--data", data, "--task", "linear_probe")
    assert ended.code == 0
    assert "linear_probe_full" in ended.out and "acc1_selected_on_test" in ended.out
    assert "25shot left out, a class has fewer than 25 items" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "RUN"], "a model needs data"),
        (["--data", "SET"], "a model needs data"),
        (["--model", "RUN", "--data", "/no/such"], "no such evaluation folder"),
        (["--model", "RUN", "--data", "SET", "--task", "retrieval"], "is no retrieval set"),
        (["--model", "RUN", "--data", "SET", "--task", "linear_probe"], "has no labelled train split"),
        (["--model", "RUN", "--data", "SET", "--study", "cpu"], "take one of the two"),
        (["--model", "ViT-B-32", "--data", "SET"], "no run's folder"),
    ],
)
def test_mistakes_are_one_sentence(run_folders, classification, clip_scaling, words, said):
    known = {"RUN": run_folders[0], "SET": classification}
    ended = clip_scaling("evaluate", *[known.get(word, word) for word in words])
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1

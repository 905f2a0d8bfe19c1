"""A study's runs evaluated and collected: the same table for one process or two, and every fault a sentence."""

import json
import shutil

import pandas as pd
import pytest
import yaml

from clip_scaling.core import paths
from clip_scaling.core.schema import RUNS, SCORES, read_table

NAMES = ("first", "second")


@pytest.fixture
def study(tmp_path, monkeypatch, root, run_folders, make):
    """A study `tiny` of two trained runs with five evaluation sets; returns its file."""
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    content = yaml.safe_load((root / "studies/cpu.yaml").read_text())
    content["study"] = "tiny"
    content["train"]["runs"] = [
        {"architecture": "ViT-XXS-8", "subset": "small", "samples_seen": 128 * (1 + index), "name": name}
        for index, name in enumerate(NAMES)
    ]
    content["evaluate"] = {
        "zeroshot": ["patches"], "retrieval": ["captions"], "linear_probe": ["probes", "fashion-mnist"],
        "fine_tune": {
            "runs": ["second"], "iterations": 12, "batch_size": 8, "task": "probes", "shifts": ["patches"],
            "joint": ["probes", "fashion-mnist", "others"], "control": "patches",
        },
    }
    where = paths.pool("tiny") / "evaluation"
    make.classification_folder(where / "patches", splits=("test", "near_duplicate"))
    make.retrieval_folder(where / "captions")
    make.classification_folder(where / "probes", items=150, splits=("train", "test"))
    make.classification_folder(where / "others", items=60, classes=3, seed=8, splits=("train", "test"))
    for name, folder in zip(NAMES, run_folders, strict=True):
        target = paths.runs("tiny") / name
        shutil.copytree(folder, target)
        (target / "record.json").write_text(json.dumps(record(name)))
        (target / "timing.json").write_text(json.dumps({"study": "tiny", "run": name, "device": "cpu",
                                                        "versions": "none", "seconds": 1.5}))
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def record(name: str) -> dict:
    return {"study": "tiny", "run": name, "family": "icons", "subset": "small", "architecture": "ViT-XXS-8",
            "gmacs_per_sample": 0.0005, "samples_seen": 128, "status": "finished", "source": "train", "seed": 0}


def scores(name: str) -> pd.DataFrame:
    return read_table(paths.evaluations("tiny") / f"{name}.csv", SCORES)


def test_evaluate_and_collect(study, clip_scaling):
    assert clip_scaling("evaluate", "--study", study, "--workers", 1).code == 0
    table = scores("first")
    assert set(table["task"]) == {"zeroshot_classification", "retrieval", "linear_probe_full", "linear_probe_10shot"}
    counted = table[table["metric"] == "acc1"].set_index(["dataset", "split", "task"])["n_items"].to_dict()
    assert counted[("patches", "test", "zeroshot_classification")] == 90
    assert counted[("patches", "all", "zeroshot_classification")] == 180
    candidates = table[table["metric"] == "text_retrieval_recall@1"].iloc[0]
    assert (candidates["n_items"], candidates["n_classes"]) == (70, 139)

    assert clip_scaling("collect", "--study", study).code == 0
    runs = read_table(paths.results("tiny") / "runs.csv", RUNS)
    assert list(runs["run"]) == list(NAMES)
    both = read_table(paths.results("tiny") / "scores.csv", SCORES)
    assert len(both) == len(table) + len(scores("second"))


def test_only_the_named_run_is_fine_tuned_and_patched(study, clip_scaling):
    assert clip_scaling("evaluate", "--study", study, "--workers", 1).code == 0
    assert not scores("first")["task"].str.contains("tuning|joint").any()
    tuned = scores("second").set_index(["task", "dataset"])["value"]
    for task in ("fine_tuning", "fine_tuning_zeroshot"):
        assert set(tuned[task].index) == {"probes", "patches"}
    for task in ("joint_zeroshot", "joint_fine_tuning", "joint_patched"):
        assert set(tuned[task].index) == {"probes", "others", "patches"}
    table = scores("second")
    zeroshot = table[(table["task"] == "zeroshot_classification") & (table["split"] == "test")
                     & (table["metric"] == "acc1")]["value"].item()
    assert tuned["joint_patched"]["patches"].item() >= tuned["joint_zeroshot"]["patches"].item() - 0.01
    assert tuned["joint_zeroshot"]["patches"].item() == zeroshot

    assert clip_scaling("collect", "--study", study).code == 0
    mixes = pd.read_csv(paths.results("tiny") / "patching.csv")
    assert len(mixes) == 11 * 3 and set(mixes["run"]) == {"second"}
    assert mixes[mixes["chosen"]]["alpha"].nunique() == 1


def test_two_processes_and_an_empty_cache_give_the_same_bytes(study, clip_scaling, monkeypatch, tmp_path):
    assert clip_scaling("evaluate", "--study", study, "--workers", 1).code == 0
    files = [paths.evaluations("tiny") / f"{name}.csv" for name in NAMES]
    before = [path.read_bytes() for path in files]
    shutil.rmtree(paths.evaluations("tiny"))
    monkeypatch.setenv("CLIP_SCALING_CACHE", str(tmp_path / "another"))
    assert clip_scaling("evaluate", "--study", study, "--workers", 2).code == 0
    assert [path.read_bytes() for path in files] == before


def test_scores_are_read_back(study, clip_scaling, monkeypatch):
    assert clip_scaling("evaluate", "--study", study, "--workers", 1).code == 0
    before = scores("first")
    from clip_scaling.evaluate import features

    monkeypatch.setattr(features, "_encode", lambda *_: pytest.fail("features were computed again"))
    assert clip_scaling("evaluate", "--study", study, "--workers", 1).code == 0
    pd.testing.assert_frame_equal(scores("first"), before)


def test_failed_run_has_no_scores(study, clip_scaling):
    failed = paths.runs("tiny") / "second" / "record.json"
    failed.write_text(json.dumps(record("second") | {"status": "failed"}))
    assert clip_scaling("evaluate", "--study", study, "--workers", 1, "--run", "second").code == 0
    assert len(scores("second")) == 0


@pytest.mark.parametrize(
    ("words", "breaks", "said"),
    [
        (["--run", "third"], None, "unknown run 'third'"),
        (["--workers", "0"], None, "--workers is 0"),
        ([], "runs/tiny/first/record.json", "is not trained"),
        ([], "runs/tiny/first/model.safetensors", "is missing"),
        ([], "data/tiny/pool/evaluation/patches/classnames.txt", "classnames.txt: is missing"),
        ([], "data/tiny/pool/evaluation/patches/test/1.tar", "1.tar: is missing"),
    ],
)
def test_fault_is_one_sentence(study, clip_scaling, tmp_path, words, breaks, said):
    if breaks:
        (tmp_path / breaks).unlink()
    ended = clip_scaling("evaluate", "--study", study, *(["--workers", "1"] if "--workers" not in words else []), *words)
    assert ended.code == 2
    assert said in ended.err and "Traceback" not in ended.err

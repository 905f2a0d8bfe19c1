"""collect: rows of every run of the study, whole-number columns kept whole, and what is missing named."""

import json

import pandas as pd
import pytest
import yaml

from clip_scaling.core import paths
from clip_scaling.core.schema import RUNS, SCORES, TIMINGS, read_table, write_table

RUN = "ViT-XXS-8_small_1280_s0"


@pytest.fixture
def study(tmp_path, monkeypatch, root):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    content = yaml.safe_load((root / "studies/cpu.yaml").read_text())
    content["study"] = "tiny"
    content["train"]["runs"] = [{"architecture": "ViT-XXS-8", "subset": "small", "samples_seen": 1280}]
    content["evaluate"]["fine_tune"]["runs"] = []
    folder = paths.runs("tiny") / RUN
    folder.mkdir(parents=True)
    record = {"study": "tiny", "run": RUN, "family": "icons", "subset": "small", "architecture": "ViT-XXS-8",
              "gmacs_per_sample": 0.0005, "samples_seen": 1280, "status": "finished", "source": "train"}
    (folder / "record.json").write_text(json.dumps(record))
    (folder / "timing.json").write_text(json.dumps({"study": "tiny", "run": RUN, "device": "cpu", "versions": "x"}))
    row = {"study": "tiny", "run": RUN, "task": "retrieval", "dataset": "captions", "split": "test",
           "metric": "text_retrieval_recall@1", "value": 0.25, "n_items": 8, "n_classes": 9, "seed": 0,
           "source": "evaluate"}
    write_table(pd.DataFrame([row]), paths.evaluations("tiny") / f"{RUN}.csv", SCORES)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_three_tables(study, clip_scaling):
    assert clip_scaling("collect", "--study", study).code == 0
    tables = [read_table(paths.results("tiny") / f"{table.name}.csv", table) for table in (RUNS, SCORES, TIMINGS)]
    assert [list(table["run"]) for table in tables] == [[RUN]] * 3
    assert tables[1].iloc[0]["n_items"] == 8
    assert "1280," in (paths.results("tiny") / "runs.csv").read_text(), "whole numbers stay whole"


def test_again_gives_the_same_bytes(study, clip_scaling):
    assert clip_scaling("collect", "--study", study).code == 0
    before = {path: path.read_bytes() for path in paths.results("tiny").iterdir()}
    assert clip_scaling("collect", "--study", study).code == 0
    assert {path: path.read_bytes() for path in paths.results("tiny").iterdir()} == before


@pytest.mark.parametrize("file", ["record.json", "timing.json", "scores"])
def test_missing_is_named_and_nothing_written(study, clip_scaling, file):
    path = paths.evaluations("tiny") / f"{RUN}.csv" if file == "scores" else paths.runs("tiny") / RUN / file
    path.unlink()
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and f"{path}: is missing" in ended.err
    assert not paths.results("tiny").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"study": "other"}', "is of run None of study 'other'"),
        ('{"study": "tiny", "run": "%s", "surprise": 1}' % RUN, "unknown columns surprise"),
    ],
)
def test_broken_record_is_named(study, clip_scaling, change, said):
    (paths.runs("tiny") / RUN / "record.json").write_text(change)
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and said in ended.err

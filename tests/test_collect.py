"""collect: rows of every run of the study, whole-number columns kept whole, and what is missing named."""

import gzip
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
        ("[]", "is not an object in JSON"),
        ('{"study": "other"}', "is of run None of study 'other'"),
        ('{"study": "tiny", "run": "%s", "surprise": 1}' % RUN, "unknown columns surprise"),
    ],
)
def test_broken_record_is_named(study, clip_scaling, change, said):
    (paths.runs("tiny") / RUN / "record.json").write_text(change)
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and said in ended.err


BROKEN_JSON = {
    "empty": b"", "cut off": b'{"study": ', "no UTF-8": b'{"study": "\xff"}', "deep": b"[" * 100_000, "deep objects": b'{"a":' * 100_000,
    "a list": b"[]", "a number": b"1", "null": b"null", "UTF-16": '{"study": "tiny"}'.encode("utf-16"), "zeros": bytes(99),
}


@pytest.mark.parametrize("content", BROKEN_JSON.values(), ids=BROKEN_JSON)
@pytest.mark.parametrize("file", ["record.json", "timing.json", "manifest.json"])
def test_json_that_is_none_is_a_sentence(study, clip_scaling, file, content):
    path = paths.pool("tiny") / file if file == "manifest.json" else paths.runs("tiny") / RUN / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and ended.err.count("\n") == 1 and file in ended.err


@pytest.mark.parametrize("value", ["NaN", "Infinity", "[1]", "{}", "true", '"x"', "-1", "1.5", "1e400", "9" * 400, '"\\ud800"', '"\\u0000"',
                                   "[[[[]]]]", '""', "null"])
@pytest.mark.parametrize("field", ["samples_seen", "status"])
def test_a_record_with_another_type_names_its_file(study, clip_scaling, field, value):
    path = paths.runs("tiny") / RUN / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: "HERE"}).replace('"HERE"', value))
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and ended.err.count("\n") == 1 and "record.json" in ended.err and field in ended.err
    assert not paths.results("tiny").exists()


@pytest.mark.parametrize("content", ['{"a": NaN}', '{"a": "\\ud800"}', '{"a": ' + "[" * 990 + "]" * 990 + "}"])
def test_a_data_card_that_cannot_be_written_is_a_sentence(study, clip_scaling, content):
    path = paths.pool("tiny") / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and ended.err.count("\n") == 1 and "manifest.json" in ended.err


TABLES_OF_A_RUN = {
    "loss.csv": "samples_seen,loss\n128,5.1\n256,4.2\n",
    "patching.csv": f"study,run,alpha,role,dataset,value,chosen\ntiny,{RUN},0,task,digits,0.5,False\ntiny,{RUN},0.1,task,digits,0.6,True\n",
}
HARM = {
    "NaN": lambda text: text.replace("4.2", "NaN").replace("0.6", "nan"), "Inf": lambda text: text.replace("4.2", "inf").replace("0.6", "-inf"),
    "empty cell": lambda text: text.replace("4.2", "").replace("0.6", ""), "a word": lambda text: text.replace("4.2", "x").replace("0.6", "x"),
    "no last column": lambda text: "\n".join(line.rpartition(",")[0] for line in text.splitlines()),
    "a column twice": lambda text: "\n".join(f"{line},{line.rpartition(',')[2]}" for line in text.splitlines()),
    "one more column": lambda text: "\n".join(f"{line},1" for line in text.splitlines()).replace(",1", ",more", 1),
    "semicolons": lambda text: text.replace(",", ";"), "a row twice": lambda text: text + text.splitlines()[-1],
    "a short row": lambda text: text + "1\n", "a long row": lambda text: text + text.splitlines()[-1] + ",1,2", "nothing": lambda text: "",
    "NUL": lambda text: text + "\0", "UTF-16": lambda text: text.encode("utf-16"), "compressed": lambda text: gzip.compress(text.encode()),
    "an open quotation mark": lambda text: text + '"', "negative": lambda text: text.replace("128,", "-128,").replace(",0.1,", ",-0.1,"),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("file", TABLES_OF_A_RUN)
def test_a_broken_table_of_a_run_is_a_sentence(study, clip_scaling, file, harm):
    folder = paths.runs("tiny") / RUN if file == "loss.csv" else paths.evaluations("tiny") / "patching"
    path = folder / (file if file == "loss.csv" else f"{RUN}.csv")
    changed = HARM[harm](TABLES_OF_A_RUN[file])
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and ended.err.count("\n") == 1 and str(path) in ended.err, ended


def test_tables_of_a_run_are_gathered_as_they_stand(study, clip_scaling):
    (paths.evaluations("tiny") / "patching").mkdir()
    (paths.evaluations("tiny") / "patching" / f"{RUN}.csv").write_text("\ufeff" + TABLES_OF_A_RUN["patching.csv"])
    (paths.runs("tiny") / RUN / "loss.csv").write_text(TABLES_OF_A_RUN["loss.csv"])
    assert clip_scaling("collect", "--study", study).code == 0
    assert (paths.results("tiny") / "patching.csv").read_text() == TABLES_OF_A_RUN["patching.csv"]
    assert (paths.results("tiny") / "learning_curves.csv").read_text() == f"study,run,samples_seen,loss\ntiny,{RUN},128,5.1\ntiny,{RUN},256,4.2\n"


def test_mixes_of_another_run_are_refused(study, clip_scaling):
    (paths.evaluations("tiny") / "patching").mkdir()
    (paths.evaluations("tiny") / "patching" / f"{RUN}.csv").write_text(TABLES_OF_A_RUN["patching.csv"].replace("s0", "s1"))
    ended = clip_scaling("collect", "--study", study)
    assert ended.code == 2 and "is of run 'ViT-XXS-8_small_1280_s1'" in ended.err

"""`clip-scaling fit RESULTS.csv`: what it prints, and a sentence for everything that a user can mend."""

import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladders import ladder
from tables import CHANGES, harmed

BASE = ["--compute", "C", "--error", "E", "--form", "power"]


@pytest.fixture
def results(tmp_path):
    """Write a CSV of a ladder with changes; returns its path."""

    def write(change=None, encoding="utf-8", separator=",", rows=36):
        points = ladder(0.02, form="power")
        table = {"C": points.compute, "E": points.error, "G": points.gmacs, "S": points.samples, "U": points.unique,
                 "who": ["a", "b"] * 18}
        lines = [separator.join(table)] + [separator.join(str(value) for value in row) for row in list(zip(*table.values()))[:rows]]
        text = "\n".join(lines) + "\n"
        path = tmp_path / "results.csv"
        path.write_text(change(text) if change else text, encoding=encoding, newline="")
        return path

    return write


def test_prints_the_law_as_json(clip_scaling, results):
    said = clip_scaling("fit", results(), *BASE, "--holdout", "0.2", "--bootstrap", "400", "--json")
    assert said.code == 0
    law = json.loads(said.out)[0]
    points = ladder(0.02, form="power")
    slope, level = np.polyfit(np.log(points.compute), np.log(points.error), 1)
    assert law["status"] == "CONVERGED" and law["n_points"] == 36
    assert law["parameters"]["alpha"]["value"] == pytest.approx(slope, rel=1e-9)
    assert law["parameters"]["beta"]["value"] == pytest.approx(np.exp(level), rel=1e-9)
    assert law["parameters"]["alpha"]["low"] < slope < law["parameters"]["alpha"]["high"]
    assert len(law["heldout"]["models"]) == 7 and 0 < law["heldout"]["mae_pp"] < 3


def test_prints_for_people(clip_scaling, results):
    said = clip_scaling("fit", results(), *BASE, "--group", "who", "--bootstrap", "200")
    assert said.code == 0 and said.out.count("alpha") == 2 and "a: power, log_ls, CONVERGED, 18 models" in said.out


def test_three_variables_without_compute(clip_scaling, results):
    said = clip_scaling("fit", results(), "--error", "E", "--gmacs", "G", "--samples", "S", "--unique", "U", "--form",
                        "three_variable_product", "--bootstrap", "200", "--json")
    assert said.code == 0 and set(json.loads(said.out)[0]["parameters"]) == {"a", "x", "y", "z"}


def test_byte_order_mark_is_no_part_of_a_name(clip_scaling, results):
    assert clip_scaling("fit", results(encoding="utf-8-sig"), *BASE, "--bootstrap", "0").code == 0


def _second(column, value):
    """Replace a column's value in data row 2."""

    def change(text):
        lines = text.split("\n")
        cells = lines[2].split(",")
        cells[column] = value
        return "\n".join([*lines[:2], ",".join(cells), *lines[3:]])

    return change


@pytest.mark.parametrize("change, words, reason", [
    (None, ["--compute", "D"], "has no column D"),
    (_second(1, "nan"), [], "E is empty or NaN in data row 2"),
    (_second(0, ""), [], "C is empty or NaN in data row 2"),
    (_second(1, "1.2"), [], "E is an error outside (0, 1] (1.2) in data row 2"),
    (_second(1, "0"), [], "E is an error outside (0, 1] (0) in data row 2"),
    (_second(1, "many"), [], "E is not a finite number (many) in data row 2"),
    (_second(0, "-5"), [], "C is not positive (-5) in data row 2"),
    (_second(0, "inf"), [], "C is not a finite number (inf) in data row 2"),
    (lambda text: "\n".join(text.split("\n")[:3]) + "\n", [], "2 models are too few for form power"),
    (lambda text: "C,E\n" + "5,0.3\n5,0.4\n5,0.35\n5,0.2\n", [], "all models have the same compute"),
    (lambda text: text.replace(",", ";"), [], "is separated by semicolons"),
    (lambda text: "", [], "is no CSV table"),
    (None, ["--form", "three_variable"], "needs one --form" ),
    (None, ["--estimator", "magic"], "unknown estimator 'magic'"),
    (None, ["--estimator", "log_ls_binomial"], "needs --items"),
    (None, ["--estimator", "varpro"], "does not apply to form power"),
    (None, ["--holdout", "1.5"], "--holdout is 1.5"),
    (None, ["--study", "published"], "both a CSV and --study"),
    (None, ["--bootstrap", "-1"], "--bootstrap is -1"),
    (None, ["--bootstrap", "99"], "--bootstrap is 99; give 100 to 100000 draws, or 0"),
    (None, ["--estimator", "robust_log", "--delta", "0"], "--delta is 0.0"),
    (None, ["--delta", "1"], "--delta says nothing to estimator log_ls"),
])
def test_bad_input_is_a_sentence(clip_scaling, results, change, words, reason):
    said = clip_scaling("fit", results(change), *BASE, *words)
    reason = "one --form NAME" if reason == "needs one --form" else reason
    assert said.code == 2 and said.out == "" and said.err.count("\n") == 1
    assert reason in said.err


def test_form_needs_its_columns(clip_scaling, results):
    said = clip_scaling("fit", results(), "--error", "E", "--compute", "C", "--form", "three_variable")
    assert said.code == 2 and "needs --gmacs and --samples and --unique" in said.err


def test_options_of_a_csv_need_a_csv(clip_scaling):
    said = clip_scaling("fit", "--error", "E")
    assert said.code == 2 and "--error without a CSV" in said.err


@pytest.mark.parametrize("words, reason", [
    (["--form", "binned_front", "--estimator", "robust_log"], "robust_log does not apply to form binned_front"),
    (["--form", "three_variable", "--group", "who"], "group a: the models do not determine every parameter of form three_variable"),
    (["--form", "three_variable"], "results.csv: the models do not determine every parameter"),
    (["--form", "three_variable", "--holdout", "0.3"], "the models do not determine"),
])
def test_what_the_models_leave_open_is_a_sentence(clip_scaling, results, words, reason):
    """No model of this table sees a pair twice: nothing tells what repeated data is worth."""

    def alone(text):
        head, *rows = text.strip().split("\n")
        cells = [row.split(",") for row in rows]
        return "\n".join([head, *(",".join([*row[:4], "1e12", row[5]]) for row in cells)]) + "\n"

    said = clip_scaling("fit", results(alone), "--error", "E", "--gmacs", "G", "--samples", "S", "--unique", "U", *words)
    assert said.code == 2 and said.out == "" and said.err.count("\n") == 1 and reason in said.err


def test_what_a_held_out_test_leaves_open_is_a_sentence(clip_scaling, results):
    """Only the models of largest compute repeat data: without them nothing is left to say what that is worth."""

    def late(text):
        head, *rows = text.strip().split("\n")
        cells = sorted((row.split(",") for row in rows), key=lambda row: float(row[0]))
        kept = [[*row[:4], "1e12" if k < 29 else "1e9", row[5]] for k, row in enumerate(cells)]
        return "\n".join([head, *map(",".join, kept)]) + "\n"

    words = ["--error", "E", "--gmacs", "G", "--samples", "S", "--unique", "U", "--form", "three_variable"]
    assert clip_scaling("fit", results(late), *words, "--bootstrap", "0").code == 0
    said = clip_scaling("fit", results(late), *words, "--bootstrap", "0", "--holdout", "0.2")
    assert said.code == 2 and "the 29 models that --holdout leaves do not determine" in said.err


def test_the_held_out_test_is_of_the_same_loss(clip_scaling, tmp_path):
    """Huber's loss that is all square is least squares, on the models that --holdout leaves, too."""
    path = tmp_path / "results.csv"
    errors = [0.5, 0.45, 0.38, 0.35, 0.29, 0.26, 0.23, 0.29, 0.18, 0.15]
    path.write_text("C,E\n" + "".join(f"{c},{e}\n" for c, e in zip(np.geomspace(1e8, 3e12, 10), errors)))
    huber = ["--estimator", "robust_log", "--delta"]
    square, plain, sharp = (json.loads(clip_scaling("fit", path, *BASE, *words, "--holdout", "0.2", "--json").out)[0]["heldout"]
                            for words in ([*huber, "1"], [], [*huber, "0.001"]))
    assert square["mae_pp"] == pytest.approx(plain["mae_pp"], rel=1e-6) and abs(sharp["mae_pp"] - plain["mae_pp"]) > 0.1


def test_a_missing_file_and_a_spreadsheet(clip_scaling, tmp_path):
    assert "no such file" in clip_scaling("fit", tmp_path / "none.csv", *BASE).err
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00\x9c")
    said = clip_scaling("fit", tmp_path / "book.csv", *BASE)
    assert said.code == 2 and "is no CSV table" in said.err


@pytest.mark.parametrize("words", [
    ["--compute", "C", "--error", "C"], ["--compute", "C", "--error", "E", "--group", "E"], ["--compute", "C", "--error", "E", "--items", "E"],
    ["--compute", "", "--error", "E"], ["--compute", " ", "--error", "E"], ["--compute", "C ", "--error", "E"],
    ["--gmacs", "S", "--samples", "S", "--error", "E"], ["--compute", "C", "--error", "E", "--group", "C"],
    ["--compute", "C", "--error", "E", "--unique", "C"], ["--compute", "x" * 9999, "--error", "E"], ["--compute", "\x1b[31m", "--error", "E"],
])
def test_a_column_has_one_part(clip_scaling, results, words):
    said = clip_scaling("fit", results(), "--form", "power", "--bootstrap", "0", *words)
    assert said.code == 2 and said.out == "" and said.err.count("\n") == 1 and "\x1b" not in said.err and len(said.err) < 1500


@pytest.mark.parametrize("change", [
    lambda text: text.replace("C,E", "C,E,E").replace("\n", ",1\n").replace("who,1", "who"), lambda text: text.replace("C,E,G", "C,E, E"),
    lambda text: text.replace("a\n", "a,7\n"), lambda text: text.replace("\n", '\n"', 1), lambda text: text.replace("a\n", '"a\nb"\n', 1),
    lambda text: text + ",".join(["1"] * 10**6), lambda text: text.replace("\n", "," + ",".join(f"c{n}" for n in range(10**6)) + "\n", 1),
    lambda text: text.replace("C", "C" * 10**6, 1), lambda text: text.replace(",a\n", ",a" * 2000 + "\n"),
])
def test_a_file_of_another_shape_is_a_sentence_soon(clip_scaling, results, change):
    begun = time.monotonic()
    said = clip_scaling("fit", results(change), *BASE, "--bootstrap", "0")
    assert said.code == 2 and said.err.count("\n") == 1 and len(said.err) < 1500 and time.monotonic() - begun < 10


@pytest.mark.parametrize("text", ["G,S,E\n" + "1e300,1e300,0.5\n" * 9, "G,S,E\n" + "1e-300,1e-300,0.5\n" * 9])
def test_a_product_beyond_numbers_is_a_sentence(clip_scaling, results, text):
    said = clip_scaling("fit", results(lambda _: text), "--gmacs", "G", "--samples", "S", "--error", "E", "--form", "power")
    assert said.code == 2 and "no finite positive number" in said.err


@pytest.mark.parametrize("name", ["x.csv.gz", "x.zip", "x.csv.bz2", "x.xz", "x.tar", "x.tar.gz", "x.zst"])
@pytest.mark.parametrize("content", [b"junk", b"", b"\x1f\x8b\x08", b"PK\x03\x04"])
def test_compression_is_not_guessed(clip_scaling, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    said = clip_scaling("fit", tmp_path / name, *BASE)
    assert said.code == 2 and name in said.err and said.err.count("\n") == 1


@settings(max_examples=120, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES, st.sampled_from([[], ["--group", "who"], ["--holdout", "0.2"], ["--items", "S"], ["--estimator", "robust_log"]]))
def test_a_changed_csv_is_fitted_or_a_sentence(clip_scaling, results, changes, words):
    path = results(lambda text: harmed(text, changes), rows=12)
    said = clip_scaling("fit", path, *BASE, "--bootstrap", "0", "--json", *words)
    assert (said.code, bool(said.out)) in ((0, True), (2, False)) and len(said.err) < 2500
    assert said.code == 2 or json.loads(said.out)

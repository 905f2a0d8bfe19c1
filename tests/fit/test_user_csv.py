"""`clip-scaling fit RESULTS.csv`: what it prints, and a sentence for everything that a user can mend."""

import json

import numpy as np
import pytest

from ladders import ladder

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
        path.write_text(change(text) if change else text, encoding=encoding)
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
    (None, ["--bootstrap", "-1"], "--bootstrap lies in"),
    (None, ["--delta", "0"], "--delta is positive"),
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


def test_a_missing_file_and_a_spreadsheet(clip_scaling, tmp_path):
    assert "no such file" in clip_scaling("fit", tmp_path / "none.csv", *BASE).err
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00\x9c")
    said = clip_scaling("fit", tmp_path / "book.csv", *BASE)
    assert said.code == 2 and "is no CSV table" in said.err

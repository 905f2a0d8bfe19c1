"""`clip-scaling verify`: what is equal, within the seeds' spread, or different."""

import json
import platform
import shutil

import pandas as pd
import pytest

from clip_scaling.core.result_tables import CLAIMS, RESULT_TABLES
from clip_scaling.core.schema import LAWS, RUNS, SCORES, TIMINGS, read_table, write_table
from clip_scaling.published.claims.model import Verdict
from clip_scaling.verify import KEYS


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    write_results(tmp_path, 0.50)
    return tmp_path


def write_results(root, value):
    runs = [dict(study="s", run=f"r{seed}", family="f", subset="u", architecture="a", gmacs_per_sample=1.0,
                 samples_seen=100, seed=seed, status="finished", source="test", parameters=1, unique_samples=1,
                 batch_size=1, learning_rate=1, warmup_steps=1, precision="fp32") for seed in (0, 1)]
    scores = [dict(study="s", run=f"r{seed}", task="t", dataset="d", split="test", metric="acc1",
                   value=value + 0.01 * seed, n_items=1_000_000, n_classes=2, seed=0, source="test") for seed in (0, 1)]
    write_table(pd.DataFrame(runs), root / "results/s/runs.csv", RUNS)
    write_table(pd.DataFrame(scores), root / "results/s/scores.csv", SCORES)


def test_accept_then_equal(project, clip_scaling):
    assert clip_scaling("verify", "--study", "s", "--accept").code == 0
    done = clip_scaling("verify", "--json")
    rows = json.loads(done.out)["comparisons"]
    assert done.code == 0 and {row["outcome"] for row in rows} == {"equal"} and rows[1]["rows"] == 2


@pytest.mark.parametrize(("value", "code", "outcome"), [(0.515, 0, "within tolerance"), (0.53, 1, "differs")])
def test_tolerance_is_twice_the_spread_of_seeds(project, clip_scaling, value, code, outcome):
    clip_scaling("verify", "--study", "s", "--accept")
    write_results(project, value)
    done = clip_scaling("verify", "--json")
    assert done.code == code
    assert {row["table"]: row["outcome"] for row in json.loads(done.out)["comparisons"]}["scores.csv"] == outcome


def test_few_items_allow_three_standard_errors(project, clip_scaling):
    """Three seeds may agree by chance; a score over 100 items still moves by 5 points from machine to machine."""
    path = project / "results/s/scores.csv"
    path.write_text(path.read_text().replace("1000000", "100"))
    clip_scaling("verify", "--study", "s", "--accept")
    for value, code in (("0.64", 0), ("0.66", 1)):
        moved = pd.read_csv(path, dtype=str)
        moved.loc[moved["run"] == "r0", "value"] = value
        moved.to_csv(path, index=False)
        assert clip_scaling("verify").code == code


@pytest.mark.parametrize(("value", "low", "points", "code"), [
    ("-0.12", "-0.3", "6", 0), ("-0.12", "-0.25", "6", 0), ("-0.4", "-0.5", "6", 1), ("-0.12", "-0.3", "5", 1)])
def test_an_estimate_may_move_within_its_interval(project, clip_scaling, value, low, points, code):
    def law(value, low, points):
        return (",".join(LAWS.names) + f"\ns,f,t,d,acc1,power,log_ls,alpha,{value},{low},-0.05,bootstrap_t,CONVERGED,{points},0,1.5,\n")

    path = project / "results/s/laws.csv"
    path.write_text(law("-0.1", "-0.3", "6"))
    clip_scaling("verify", "--study", "s", "--accept")
    path.write_text(law(value, low, points))
    assert clip_scaling("verify").code == code


def test_lost_row_differs_and_record_is_written(project, clip_scaling):
    clip_scaling("verify", "--study", "s", "--accept")
    text = (project / "results/s/scores.csv").read_text().splitlines()
    (project / "results/s/scores.csv").write_text("\n".join(text[:-1]) + "\n")
    assert clip_scaling("verify").code == 1
    assert clip_scaling("verify", "--study", "s", "--record").code == 0
    record = json.loads((project / "results/s/verification.json").read_text())
    assert sum(row["differs"] for row in record["comparisons"]) == 1 and record["compared_with"]["numpy"]


@pytest.mark.parametrize("side", ["reference", "results"])
def test_a_table_that_one_side_lacks_differs_in_every_row(project, clip_scaling, side):
    clip_scaling("verify", "--study", "s", "--accept")
    (project / side / "s" / "scores.csv").unlink()
    done = clip_scaling("verify", "--json")
    lost = next(row for row in json.loads(done.out)["comparisons"] if row["table"] == "scores.csv")
    assert done.code == 1 and lost["differs"] == lost["rows"] > 0


def test_no_reference_is_a_sentence(project, clip_scaling):
    done = clip_scaling("verify", "--study", "s")
    assert done.code == 2 and "no reference" in done.err


def rows(change):
    return lambda text: "\n".join([(lines := text.splitlines())[0], *change(lines[1:])]) + "\n"


HARM = {
    "a leading value in each row": rows(lambda lines: [f"x,{line}" for line in lines]),
    "all rows doubled": rows(lambda lines: lines * 2),
    "an extra column": lambda text: "\n".join(f"{line},1" for line in text.splitlines()) + "\n",
    "a column doubled": lambda text: "\n".join(f"{line},{line.split(',')[0]}" for line in text.splitlines()) + "\n",
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "semicolons": lambda text: text.replace(",", ";"),
    "no key column": lambda text: "\n".join(",".join(line.split(",")[1:]) for line in text.splitlines()) + "\n",
    "no last column": lambda text: "\n".join(",".join(line.split(",")[:-1]) for line in text.splitlines()) + "\n",
    "empty": lambda text: "",
    "a row too long": rows(lambda lines: [lines[0] + ",1", *lines[1:]]),
    "a row too short": rows(lambda lines: [lines[0].rpartition(",")[0], *lines[1:]]),
    "compressed": lambda text: __import__("gzip").compress(text.encode()),
    "an open quotation mark": rows(lambda lines: ['"' + lines[0], *lines[1:]]),
    "NUL": lambda text: text + "\0\n",
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("table", ["runs.csv", "scores.csv"])
@pytest.mark.parametrize("place", ["results/s", "reference/s"])
def test_a_table_that_is_none_is_a_sentence(project, clip_scaling, harm, table, place):
    clip_scaling("verify", "--study", "s", "--accept")
    path = project / place / table
    changed = HARM[harm](path.read_text())
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    for words in ([], ["--record"]):
        said = clip_scaling("verify", "--study", "s", *words)
        assert said.code == 2 and said.err.count("\n") == 1 and table in said.err, said
    assert not (project / "results/s/verification.json").exists()
    before = (project / "reference/s" / table).read_bytes()
    if place == "results/s":
        assert clip_scaling("verify", "--study", "s", "--accept").code == 2
        assert (project / "reference/s" / table).read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"scores.csv": 1}', '{"scores.csv": {"value": 1}}', "[" * 5000,
                                  '{"scores.csv": {"value": {"a": "b"}}}', '{"scores.csv": {"value": {"t d acc1": NaN}}}',
                                  '{"scores.csv": {"value": {"t d acc1": 1e9}}}', '{"laws.csv": {"within_interval": 7}}', b"\xff\xfe"])
def test_a_tolerance_that_is_none_is_a_sentence(project, clip_scaling, text):
    clip_scaling("verify", "--study", "s", "--accept")
    (project / "reference/s/tolerance.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    said = clip_scaling("verify", "--study", "s")
    assert said.code == 2 and "tolerance.json" in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize("name", ["a/../../../x", "..", "/etc", "", "a b", "a/b", "x\n", "\x1b[31m", ".", "a" * 65, "../x.yaml/.."])
@pytest.mark.parametrize("word", ["--record", "--accept", "--json"])
def test_a_name_leads_nowhere_else(project, clip_scaling, name, word):
    before = sorted(project.parent.rglob("*"))
    said = clip_scaling("verify", f"--study={name}", word)
    assert said.code == 2 and "is no name of a study" in said.err and "\x1b" not in said.err
    assert sorted(project.parent.rglob("*")) == before


def test_without_repeated_seeds_nothing_may_move(project, clip_scaling):
    """As for the published numbers: no spread, no tolerance, whatever the number of items."""
    for name in ("runs.csv", "scores.csv"):
        path = project / "results/s" / name
        path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("s,r1")).replace("1000000", "10"))
    assert clip_scaling("verify", "--study", "s", "--accept").code == 0
    assert json.loads((project / "reference/s/tolerance.json").read_text())["laws.csv"] == {"within_interval": False}
    path, text = project / "results/s/scores.csv", (project / "results/s/scores.csv").read_text()
    for value, code in (("0.5", 0), ("0.50000001", 0), ("0.50001", 1), ("0.49999", 1)):
        path.write_text(text.replace(",0.5,", f",{value},"))
        assert clip_scaling("verify", "--study", "s").code == code, value


def law(value, low, high, status="CONVERGED"):
    return f"{','.join(LAWS.names)}\ns,f,t,d,acc1,power,log_ls,alpha,{value},{low},{high},bootstrap_t,{status},6,0,1.5,\n"


@pytest.mark.parametrize("side", ["results", "reference"])
@pytest.mark.parametrize(("value", "low", "high", "said"), [
    ("-0.1", "-0.05", "-0.3", "an interval that is none"), ("-0.4", "-0.3", "-0.05", "an estimate outside"),
    ("0", "-0.3", "-0.05", "an estimate outside"), ("", "-0.3", "-0.05", "an interval that is none"),
    ("-0.1", "", "-0.05", "an interval that is none"), ("-0.1", "-0.3", "", "an interval that is none"),
    ("-0.1", "NaN", "-0.05", "low is 'NaN'"), ("-0.1", "-inf", "-0.05", "low is '-inf'")])
def test_a_law_outside_its_interval_is_a_broken_table(project, clip_scaling, side, value, low, high, said):
    path = project / "results/s/laws.csv"
    path.write_text(law("-0.1", "-0.3", "-0.05"))
    assert clip_scaling("verify", "--study", "s", "--accept").code == 0 == clip_scaling("verify").code
    (project / side / "s/laws.csv").write_text(law(value, low, high))
    done = clip_scaling("verify")
    assert done.code == 2 and said in done.err and f"{side}/s/laws.csv" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(("wanted", "found", "outcome"), [
    (("-0.1", "-0.3", "-0.05"), (" ", "", ""), "differs"), (("-0.1", "-0.3", "-0.05"), (" ", "\t", " "), "differs"),
    ((" ", "", ""), ("-0.1", "", ""), "differs"), (("-0.1", " ", " "), ("-0.2", "", ""), "differs"),
    (("-0.1", "  ", " "), ("-0.1", "", ""), "equal"), ((" ", " ", " "), ("", "", ""), "equal"),
    (("-0.1", "-0.3", "-0.05"), ("-0.2", "-0.3", "-0.05"), "within tolerance")])
def test_a_blank_cell_is_an_empty_one(project, clip_scaling, wanted, found, outcome):
    path = project / "results/s/laws.csv"
    path.write_text(law(*wanted))
    assert clip_scaling("verify", "--study", "s", "--accept").code == 0
    path.write_text(law(*found))
    done = clip_scaling("verify", "--json")
    assert done.code == (outcome == "differs")
    assert {row["table"]: row["outcome"] for row in json.loads(done.out)["comparisons"]}["laws.csv"] == outcome


def test_a_fit_that_lost_its_estimate_and_moved_its_errors_differs(project, clip_scaling):
    path = project / "results/s/laws.csv"
    path.write_text(law("-0.1", "-0.3", "-0.05").replace(",1.5,", ",1.5,2.0"))
    clip_scaling("verify", "--study", "s", "--accept")
    path.write_text(law(" ", "", "").replace(",1.5,", ",1.5,2.1"))
    assert clip_scaling("verify").code == 1


def test_a_score_of_a_blank_number_of_items_is_compared(project, clip_scaling):
    path = project / "results/s/scores.csv"
    path.write_text(path.read_text().replace("1000000", " "))
    assert clip_scaling("verify", "--study", "s", "--accept").code == 0
    for value, code in (("0.515", 0), ("0.53", 1)):
        moved = pd.read_csv(path, dtype=str, keep_default_na=False)
        moved.loc[moved["run"] == "r0", "value"] = value
        moved.to_csv(path, index=False)
        assert clip_scaling("verify").code == code


@pytest.mark.parametrize("names", [["nope"], ["nope.yaml"], ["s", "nope"]])
@pytest.mark.parametrize("referenced", [False, True])
def test_what_has_no_results_is_not_recorded(project, clip_scaling, names, referenced):
    if referenced:
        clip_scaling("verify", "--study", "s", "--accept")
        shutil.copytree(project / "reference/s", project / "reference/nope")
    before = sorted(project.rglob("*"))
    done = clip_scaling("verify", "--record", *(word for name in names for word in ("--study", name)))
    assert done.code == 2 and "results/nope: no results of study 'nope'" in done.err and done.err.count("\n") == 1
    assert sorted(project.rglob("*")) == before


def test_an_estimate_at_its_bound_may_lie_beyond_the_percentiles(project, clip_scaling):
    (project / "results/s/laws.csv").write_text(law("1e40", "6", "9.99e39", "BOUND_HIT") + law("", "", "", "DEGENERATE").splitlines()[1]
                                                .replace("alpha", "beta") + "\n")
    assert clip_scaling("verify", "--study", "s", "--accept").code == 0 == clip_scaling("verify").code


@pytest.mark.parametrize("words", [[], ["--study", "x"], ["--json"], ["--study", "x", "--record"]])
@pytest.mark.parametrize("left", [(), ("tolerance.json", "README.md")])
def test_an_empty_reference_says_so(project, clip_scaling, words, left):
    (project / "reference/x").mkdir(parents=True)
    for name in left:
        (project / "reference/x" / name).write_text("{}")
    done = clip_scaling("verify", *words)
    assert done.code == 2 and "reference/x: holds no table to compare with" in done.err and not done.out


def test_no_reference_at_all_says_so(project, clip_scaling):
    done = clip_scaling("verify")
    assert done.code == 2 and "no study has a reference" in done.err


# The first cell of the kind in the first data row; what a table of results would hold in its place after a slip.
SLIPS = {"number": "NaN", "fraction": "1.5", "whole": "0.5"}
BESIDE = ["heldout", "later", "comparison", "sensitivity", "model_choice", "left_out", "claims", "errata", "table_check",
          "learning_curves", "patching", "timings", "tuning"]


@pytest.mark.parametrize("harm", ["empty", "semicolons", "a row too short", "an open quotation mark", "no last column", "an extra column",
                                  "utf-16", "a column doubled", "compressed", "NUL", "all rows doubled", "number", "fraction", "whole"])
@pytest.mark.parametrize("name", BESIDE)
def test_a_broken_table_beside_those_compared_is_a_sentence(project, clip_scaling, root, name, harm):
    clip_scaling("verify", "--study", "s", "--accept")
    table, source = RESULT_TABLES[name], root / "results/published" / f"{name}.csv"
    lines = (source if source.is_file() else root / "results/cpu" / f"{name}.csv").read_text().splitlines()[:4]
    if name == "left_out":
        lines = (root / "results/cpu/left_out.csv").read_text().splitlines()[:4]
    text, path = "\n".join(lines) + "\n", project / "results/s" / f"{name}.csv"
    path.write_text(text)
    if path.name not in KEYS:
        assert clip_scaling("verify").code == 0, "a sound table beside them is no difference"
    if harm in SLIPS:
        place = next((place for place, column in enumerate(table.columns) if column.kind == harm), None)
        if place is None:
            pytest.skip("has no such column")
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.iloc[0, frame.columns.get_loc(table.names[place])] = SLIPS[harm]
        frame.to_csv(path, index=False)
    elif harm == "all rows doubled" and not table.key:
        pytest.skip("its rows have no names")
    else:
        changed = HARM[harm](text)
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    for words in ([], ["--study", "s", "--record"], ["--study", "s", "--accept"]):
        done = clip_scaling("verify", *words)
        assert done.code == 2 and str(path) in done.err and done.err.count("\n") == 1, done


@pytest.mark.parametrize("study", ["cpu", "published"])
def test_the_committed_tables_are_sound(root, study):
    for path in (root / "results" / study).glob("*.csv"):
        assert path.stem in RESULT_TABLES and len(read_table(path, RESULT_TABLES[path.stem])) >= 0


def test_what_trained_and_what_compared_are_told_apart(project, clip_scaling):
    timing = dict(study="s", run="r0", device="Babbage's engine", versions="python 1, torch 2", seconds=1, samples_per_second=1,
                  energy_kwh=None, loss_spikes=0, finished_at=None)
    write_table(pd.DataFrame([timing]), project / "results/s/timings.csv", TIMINGS)
    clip_scaling("verify", "--study", "s", "--accept")
    stated = json.loads(clip_scaling("verify", "--json").out)
    assert stated["trained"] == {"s": {"on": ["Babbage's engine"], "with": ["python 1, torch 2"]}}
    assert stated["compared_with"]["python"] == platform.python_version()
    said = clip_scaling("verify").out
    assert "s: trained on Babbage's engine with python 1, torch 2\n" in said and "\ncompared on " in said


def test_verdicts_are_those_of_claims():
    assert set(CLAIMS.columns[5].known) == set(Verdict)

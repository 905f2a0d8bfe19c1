"""`clip-scaling verify`: what is equal, within the seeds' spread, or different."""

import json

import pandas as pd
import pytest

from clip_scaling.core.schema import LAWS, RUNS, SCORES, write_table


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
    assert sum(row["differs"] for row in record["comparisons"]) == 1 and record["versions"]["numpy"]


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
    "NUL": lambda text: text.replace("s,", "s\0,"),
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

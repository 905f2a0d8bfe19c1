"""Tables: round trips are exact, and bad cells are named by column and row."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.cells import read_cells
from clip_scaling.core.errors import UserError
from clip_scaling.core.schema import RUNS, SCORES, errors_frame, read_table, validate, write_table

from odd_files import make_odd
from tables import CHANGES, harmed


def score(**changes) -> dict:
    row = dict(study="s", run="r", task="zeroshot_classification", dataset="d", split="test", metric="acc1",
               value=0.25, n_items=100, n_classes=10, seed=0, source="test")
    return {**row, **changes}


def run(**changes) -> dict:
    row = dict(study="s", run="r", family="f", subset="u", architecture="a", parameters=10, gmacs_per_sample=0.5,
               unique_samples=100, samples_seen=1000, batch_size=10, learning_rate=0.1, warmup_steps=1,
               precision="fp32", seed=0, status="finished", source="test")
    return {**row, **changes}


def test_round_trip_is_byte_identical(tmp_path):
    frame = pd.DataFrame([score(metric="acc5"), score(value=1 / 3)])
    write_table(frame, tmp_path / "a.csv", SCORES)
    write_table(read_table(tmp_path / "a.csv", SCORES), tmp_path / "b.csv", SCORES)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert read_table(tmp_path / "a.csv", SCORES)["metric"].tolist() == ["acc1", "acc5"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (score(value="nan"), "value is empty|value is 'nan'"),
        (score(value="inf"), "value is 'inf'"),
        (score(value=-0.1), "value is '-0.1'"),
        (score(value=1.5), "value is '1.5'"),
        (score(n_items=1.5), "n_items is '1.5'"),
        (score(run=""), "run is empty"),
    ],
)
def test_bad_cell_is_named(row, said):
    with pytest.raises(UserError, match=said):
        validate(pd.DataFrame([row]), SCORES)


def test_missing_unknown_and_duplicate(tmp_path):
    with pytest.raises(UserError, match="lacks metric"):
        validate(pd.DataFrame([score()]).drop(columns="metric"), SCORES)
    with pytest.raises(UserError, match="unknown columns extra"):
        validate(pd.DataFrame([score(extra=1)]), SCORES)
    with pytest.raises(UserError, match="stands twice"):
        validate(pd.DataFrame([score(), score(value=0.5)]), SCORES)
    with pytest.raises(UserError, match="no such table"):
        read_table(tmp_path / "none.csv", SCORES)


@pytest.mark.parametrize("text", ["", "a;b\n1;2\n", "\x00\x01", "study,run\n\"open"])
def test_files_that_are_no_table(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError):
        read_table(path, SCORES)


def test_errors_frame_units():
    joined = errors_frame(validate(pd.DataFrame([run()]), RUNS), validate(pd.DataFrame([score()]), SCORES)).iloc[0]
    assert joined["error"] == 0.75 and joined["compute"] == 500.0 and joined["chance"] == 0.1
    assert joined["standard_error"] == pytest.approx((0.25 * 0.75 / 100) ** 0.5)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_table_or_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError):
        read_table(path, SCORES)


@pytest.mark.parametrize(("row", "said"), [
    (dict(gmacs_per_sample=-1), "gmacs_per_sample is '-1'"), (dict(gmacs_per_sample=0), "not a number above 0"),
    (dict(samples_seen=0), "samples_seen is '0'"), (dict(samples_seen=-5), "samples_seen"), (dict(samples_seen="1e300"), "samples_seen is '1e300'"),
    (dict(samples_seen=2**53), "below 2"), (dict(unique_samples=0), "unique_samples"), (dict(unique_samples="-1e300"), "unique_samples"),
    (dict(parameters="9" * 400), "parameters"), (dict(batch_size=-1), "batch_size"), (dict(seed=-1), "seed"), (dict(warmup_steps=-1), "warmup"),
    (dict(status="done"), "status is 'done'.*finished, failed, released"), (dict(status="<script>"), "status"), (dict(run="a\x1b[31m"), "run is 'a.\\[31m'"),
    (dict(learning_rate=0), "learning_rate"), (dict(samples_seen="0x10"), "samples_seen"), (dict(samples_seen="1_0"), "samples_seen"),
    (dict(samples_seen="True"), "samples_seen"),
])
def test_bounds_of_runs(row, said):
    with pytest.raises(UserError, match=said) as caught:
        validate(pd.DataFrame([run(**row)]).astype(str), RUNS)
    assert caught.value.sentence.isprintable() and len(caught.value.sentence) < 400


@pytest.mark.parametrize("row", [dict(n_items=0), dict(n_items=-3), dict(n_classes=0), dict(n_classes="1e300"), dict(seed="1e300")])
def test_bounds_of_scores(row):
    with pytest.raises(UserError, match=next(iter(row))):
        validate(pd.DataFrame([score(**row)]).astype(str), SCORES)


def test_a_score_without_its_run_is_named():
    runs, scores = validate(pd.DataFrame([run()]), RUNS), pd.DataFrame([score(), score(run="lost")])
    with pytest.raises(UserError, match="'lost'"):
        errors_frame(runs, validate(scores, SCORES))
    with pytest.raises(UserError, match="'other'"):
        errors_frame(runs, validate(pd.DataFrame([score(study="other")]), SCORES))


def test_compute_beyond_numbers_is_named():
    with pytest.raises(UserError, match="no finite compute"):
        errors_frame(validate(pd.DataFrame([run(gmacs_per_sample=1e308)]), RUNS), validate(pd.DataFrame([score()]), SCORES))


@pytest.mark.parametrize(("text", "said"), [
    ("a,b,a\n1,2,3\n", "column a more than once"), ("a,b, a\n1,2,3\n", "column a more than once"), ("a,b\n1,2,3\n", "3 cells, the header 2"),
    ("a,b\n1\n", "1 cells, the header 2"), ("a,b\n1,2\n1,2,3\n", "data row 2"), ('a,b\n"1\n2",3\n', "spans lines 2 to 3"),
    ('a,b\n"1,2\n3,4\n5,6\n', "is no CSV table|spans lines"), ('a,b\n"x"y,2\n', "is no CSV table"), ("a;b\n1;2\n", "semicolons"),
    ("a,b\n\x00,1\n", "NUL"), ("", "empty"), ("\n\n\n", "empty"), (",".join(f"c{n}" for n in range(10_001)) + "\n", "10,001 columns"),
    ("x" * 5_000_000, "longer than"), ("a\n" + "1" * 200_000 + "\n", "is no CSV table"), (b"\x1f\x8b\x08\x00\xff", "is no CSV table"),
    ("a,b\n1,2\n".encode("utf-16"), "is no CSV table"), ("a,b\n1,2\n".encode("utf-16-le"), "NUL"), (b"PK\x03\x04\xff", "is no CSV table"),
    (b"a,b\n\xff,1\n", "is no CSV table"),
])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.zip", "t.bz2", "t.xz", "t.tar", "t.csv.zst"])
def test_cells_that_are_no_table(tmp_path, text, said, name):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    begun = time.monotonic()
    with pytest.raises(UserError, match=said) as caught:
        read_cells(path)
    assert time.monotonic() - begun < 3 and len(caught.value.sentence) < 800 and caught.value.sentence.isprintable()


@pytest.mark.parametrize("kind", ["fifo", "zero", "sparse", "folder", "none"])
def test_cells_of_what_is_no_file(tmp_path, kind):
    path = tmp_path / "t.csv"
    make_odd(path, kind)
    with pytest.raises(UserError):
        read_cells(path)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "\ufeffa,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\r1,2\r", " a , b \n1,2", "\n\na,b\n\n1,2\n\n", '"a",b\n"1",2\n'])
def test_cells_that_are_a_table(tmp_path, text):
    path = tmp_path / "t.csv.gz"  # the name says nothing
    path.write_bytes(text.encode())
    assert read_cells(path).to_dict("list") == {"a": ["1"], "b": ["2"]}
    assert read_cells(path, ["b"]).to_dict("list") == {"b": ["2"]}


def test_byte_order_mark_before_a_table(tmp_path):
    write_table(pd.DataFrame([score()]), tmp_path / "t.csv", SCORES)
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "t.csv").read_bytes())
    assert len(read_table(tmp_path / "t.csv", SCORES)) == 1


@settings(max_examples=200, deadline=2000)
@given(CHANGES, CHANGES)
def test_changed_tables_are_tables_or_a_sentence(tmp_path_factory, runs, scores):
    folder = tmp_path_factory.mktemp("fuzz")
    good = [run(run=f"r{n}", seed=n) for n in range(4)], [score(run=f"r{n}") for n in range(4)]
    for name, rows, changes in (("runs", good[0], runs), ("scores", good[1], scores)):
        (folder / f"{name}.csv").write_text(harmed(pd.DataFrame(rows).to_csv(index=False), changes), encoding="utf-8", newline="")
    try:
        joined = errors_frame(read_table(folder / "runs.csv", RUNS), read_table(folder / "scores.csv", SCORES))
        assert np.isfinite(joined["compute"]).all() and joined["error"].between(0, 1).all()
    except UserError as error:
        assert error.sentence.isprintable() and len(error.sentence) < 2500

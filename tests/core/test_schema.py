"""Tables: round trips are exact, and bad cells are named by column and row."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.core.schema import RUNS, SCORES, errors_frame, read_table, validate, write_table


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

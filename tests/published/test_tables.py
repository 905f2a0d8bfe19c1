"""Tables recomputed cell by cell, and the rounding rule behind them."""

import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.published.table_check import COLUMNS, check_tables, parse, summary, wide, within
from clip_scaling.published.tables import TRANSCRIBED


@pytest.fixture(scope="module")
def checked(published):
    return check_tables(published)


def test_every_cell_of_every_table_is_listed(checked, published):
    assert list(checked.columns) == COLUMNS
    assert len(checked) == len(published.printed_tables) == 1513
    assert set(checked["table"]) == {*map(str, range(1, 27)), "hidden"}


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("1", 9),
        ("4", 24),
        ("5", 77),
        ("16", 29),
        ("17", 180),
        ("18", 232),
        ("hidden", 29),
        *((str(n), 29) for n in range(19, 25)),
    ],
)
def test_tables_with_public_numbers_are_within_rounding(checked, table, cells):
    rows = checked[checked["table"] == table]
    assert len(rows) == cells
    assert set(rows["within_rounding"]) == {"yes"}
    assert rows["recomputed"].notna().all()


def test_cells_outside_rounding_are_those_that_the_errata_explain(checked):
    outside = checked[checked["within_rounding"] == "no"]
    assert outside["table"].value_counts().to_dict() == {"9": 67, "25": 1}
    assert outside.loc[outside["table"] == "25", "row"].item() == "ViT-G/14"
    low = outside[(outside["table"] == "9") & outside["row"].str.contains(" 224 ")]
    assert low["difference"].abs().max() < 0.031


def test_transcribed_tables_are_never_counted_as_reproduced(checked):
    rows = checked[checked["table"].isin(TRANSCRIBED)]
    assert set(rows["table"]) == {"2", "3", "6", "7", "8", "10", "11", "12", "13", "14", "15", "26"}
    assert rows["recomputed"].isna().all()
    assert set(rows["within_rounding"]) == {"transcription only"}
    counts = summary(checked).set_index("table")
    assert (counts.loc[list(TRANSCRIBED), "within"] == 0).all()


@pytest.mark.parametrize(
    ("printed", "value", "half"),
    [
        ("75.20", 75.2, 0.005),
        ("1.37B", 1.37e9, 5e6),
        ("10K", 10_000, 500),
        ("5e-4", 5e-4, 5e-5),
        ("29", 29, 0.5),
        ("-0.11", -0.11, 0.005),
    ],
)
def test_printed_numbers_are_read_with_their_rounding(printed, value, half):
    assert parse(printed) == pytest.approx((value, half))


def test_words_are_no_numbers():
    assert parse("M=U(0, 8), N=2") is None
    with pytest.raises(UserError, match="no number"):
        within("Yes", 1.0)


def test_a_tie_is_within_rounding_and_more_is_not():
    assert within("75.20", 75.205)
    assert not within("75.20", 75.2051)


def test_wide_shows_a_table_as_printed(checked):
    table = wide(checked, "25").set_index("row")
    assert table.loc["ViT-g/14", ["params", "gmac", "depth_img"]].tolist() == ["1.37B", "290.74", "40"]
    assert table.loc["ViT-g/14", "basis"] == "partly recomputed"
    assert set(wide(checked, "12")["basis"]) == {"transcription"}
    assert set(wide(checked, "18")["basis"]) == {"recomputed"}


def test_a_cell_that_the_paper_does_not_print_is_refused(published, tmp_path):
    import shutil

    from clip_scaling.published.data import Published

    shutil.copytree(published.folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "printed_tables.csv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("19,ViT-H/14")]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="table 19 has no printed cell 'ViT-H/14 34B LAION-2B'"):
        check_tables(Published(tmp_path))

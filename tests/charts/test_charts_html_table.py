"""Tables as HTML: escaped, scrollable, and honest about what differs."""

import pandas as pd

from clip_scaling.charts.html_table import compared, table


def test_text_is_escaped_and_numbers_stand_right():
    shown = table(pd.DataFrame({"name": ["<b>&"], "value": [0.5]}), 'A "caption"', download="rows.csv")._repr_html_()
    assert "&lt;b&gt;&amp;" in shown and "<b>" not in shown
    assert (
        '<td role="cell" class="num" data-label="value">0.5</td>' in shown
        and 'href="rows.csv"' in shown
        and 'aria-label="A &quot;caption&quot;"' in shown
    )


def test_an_empty_cell_stays_empty():
    shown = table(pd.DataFrame({"name": ["a"], "value": [None]}), "c")._repr_html_()
    assert '<td role="cell" data-label="value"></td>' in shown


def test_only_what_differs_shows_both_numbers():
    cells = pd.DataFrame(
        {
            "row": ["a", "a", "b"],
            "column": ["x", "y", "x"],
            "paper": ["1.0", "2.0", "3.0"],
            "recomputed": ["1.01", "2.5", ""],
            "within_rounding": ["yes", "no", "transcription only"],
        }
    )
    shown = compared(cells, "c")._repr_html_()
    assert ">1.0</td>" in shown and ">2.0<br>≠ 2.5</td>" in shown and ">3.0</td>" in shown and "1.01" not in shown


def test_a_table_with_no_room_on_a_phone_is_marked_and_a_narrow_one_is_not():
    wide = pd.DataFrame({f"column {number}": ["some words here"] for number in range(6)})
    assert "cs-wide" in table(wide, "c")._repr_html_()
    assert "cs-wide" not in table(wide.iloc[:, :2], "c")._repr_html_()


def test_a_column_below_stands_under_the_first():
    rows = pd.DataFrame({"claim": ["first", "second"], "note": ["why", ""], "value": [1, 2]})
    shown = table(rows, "c", below=("note",))._repr_html_()
    assert '>first<span class="cs-note">why</span></th>' in shown and ">second</th>" in shown
    assert 'scope="col"' in shown and ">note</th>" not in shown


def test_floats_of_a_column_have_as_many_decimals():
    shown = table(pd.DataFrame({"set": ["a", "b"], "gain": [0.0, -0.29]}), "c")._repr_html_()
    assert ">0.00</td>" in shown and ">−0.29</td>" in shown

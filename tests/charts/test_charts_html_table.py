"""Tables as HTML: escaped, scrollable, and honest about what differs."""

import pandas as pd

from clip_scaling.charts.html_table import compared, table


def test_text_is_escaped_and_numbers_stand_right():
    shown = table(pd.DataFrame({"name": ["<b>&"], "value": [0.5]}), 'A "caption"', download="rows.csv")._repr_html_()
    assert "&lt;b&gt;&amp;" in shown and "<b>" not in shown
    assert (
        '<td class="num">0.5</td>' in shown
        and 'href="rows.csv"' in shown
        and 'aria-label="A &quot;caption&quot;"' in shown
    )


def test_an_empty_cell_stays_empty():
    assert "<td></td>" in table(pd.DataFrame({"name": [None], "value": ["x"]}), "c")._repr_html_()


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
    assert "<td>1.0</td>" in shown and "2.0 ≠ 2.5" in shown and "<td>3.0</td>" in shown and "1.01" not in shown

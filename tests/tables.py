"""Ways to harm a CSV, for tests that nothing but a table or a sentence comes of it."""

from hypothesis import strategies as st

CELLS = st.sampled_from(["", "x", "-1", "0", "1e300", "-1e300", "inf", "nan", "1e-320", "0.5", "9" * 30, '"', '"a\nb"', "a,b", "\x1b[1m", "\u202e",
                         "<b>", "é", " 1 ", "+1", "0x1", "True", "1_0", "finished", "\n", "\r", "\0", ";", "\ufeff", "1" * 500])


def harmed(text: str, changes) -> str:
    """A CSV with cells, rows and columns changed."""
    rows = [line.split(",") for line in text.splitlines()]
    for row, column, how, cell in changes:
        row, column = row % len(rows), column % max(len(rows[row % len(rows)]), 1)
        if how == "cell":
            rows[row][column:column + 1] = [cell]
        elif how == "more":
            rows[row].insert(column, cell)
        elif how == "row":
            rows.insert(row, list(rows[row]))
        elif how == "column":
            rows = [[*line, line[min(column, len(line) - 1)] if line else ""] for line in rows]
        elif len(rows) > 1:
            del rows[row]
    return "\n".join(",".join(row) for row in rows) + "\n"


CHANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.sampled_from(["cell", "cell", "cell", "more", "row", "column", "drop"]), CELLS),
                   min_size=1, max_size=4)

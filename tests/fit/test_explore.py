"""The explore notebooks of the fits run as they are; the new form in them is short."""

import json

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["explore_new_fit", "explore_three_variables"])
def test_notebook_runs(root, tmp_path, name):
    import papermill

    done = papermill.execute_notebook(str(root / "notebooks" / f"{name}.ipynb"), str(tmp_path / "done.ipynb"), cwd=str(root),
                                      parameters={"draws": 200}, progress_bar=False)
    assert not [output for cell in done.cells for output in cell.get("outputs", []) if output.output_type == "error"]


def test_a_new_form_takes_20_lines_or_fewer(root):
    cells = json.loads((root / "notebooks" / "explore_new_fit.ipynb").read_text())["cells"]
    shown = [cell for cell in cells if "@register" in "".join(cell["source"])]
    assert len(shown) == 1 and "".join(shown[0]["source"]).count("\n") < 20

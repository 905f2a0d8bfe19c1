"""Notebooks: thin, executed with known parameters only, byte for byte the same each time."""

import json

import made_study
import nbformat
import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.figure import command, registry
from clip_scaling.figure.tables import load


@pytest.fixture
def project(tmp_path, root, monkeypatch):
    made_study.write(tmp_path, root)
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sources(root):
    return [nbformat.read(file, as_version=4) for file in sorted((root / "notebooks").glob("*.ipynb"))]


def _shows_a_form(notebook) -> bool:
    return any("register" in cell.source and "def " in cell.source for cell in notebook.cells)


def test_each_notebook_is_registered_and_has_no_output_and_no_function(root):
    files = {file.stem for file in (root / "notebooks").glob("*.ipynb") if not file.stem.startswith("explore_")}
    assert files == {book.name for book in registry.NOTEBOOKS}
    # A new form of law is a function: the notebook that shows how to add one holds it.
    for notebook in (one for one in sources(root) if not _shows_a_form(one)):
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in code)
        assert not any("def " in cell.source or "import *" in cell.source for cell in code)
        assert "parameters" in code[0].metadata.tags


def test_notebooks_without_their_data_are_not_listed(project):
    names = [book.name for book in registry.available("made")]
    assert "zero_shot" in names and "retrieval" in names
    scores = load("made").scores
    scores[scores["task"] != "retrieval"].to_csv(project / "results/made/scores.csv", index=False)
    assert "retrieval" not in [book.name for book in registry.available("made")]
    with pytest.raises(UserError, match="no data for notebook 'retrieval'"):
        registry.named(["retrieval"], "made")


def test_two_executions_are_byte_for_byte_equal(project):
    first = command.execute("zero_shot", "made").read_bytes()
    files = sorted((project / "figures" / "made").iterdir())
    before = {file.name: file.read_bytes() for file in files}
    assert command.execute("zero_shot", "made").read_bytes() == first
    assert {file.name: file.read_bytes() for file in files} == before
    assert "(pictorial): too few models" in first.decode() and "(−0.090 to −0.070)" in first.decode()


def test_unknown_parameter_is_refused(project):
    with pytest.raises(UserError, match="no parameter colour"):
        command.execute("zero_shot", "made", colour="red")


def test_failing_cell_is_told_in_one_sentence(project, clip_scaling):
    (project / "notebooks").unlink()
    (project / "notebooks").mkdir()
    cell = nbformat.v4.new_code_cell("study = 'cpu'", metadata={"tags": ["parameters"]})
    broken = nbformat.v4.new_notebook(
        cells=[cell, nbformat.v4.new_code_cell("1 / 0")],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    (project / "notebooks" / "zero_shot.ipynb").write_text(nbformat.writes(broken), encoding="utf-8")
    said = clip_scaling("figure", "--study", "made", "--notebook", "zero_shot")
    assert said.code == 2 and "ZeroDivisionError: division by zero" in said.err and "Traceback" not in said.err
    log = project / ".cache" / "figure" / "made-zero_shot.ipynb"
    assert str(log) in said.err and "ZeroDivisionError" in json.dumps(json.loads(log.read_text()))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--study", "nowhere"], "unknown study 'nowhere'"),
        (["--study", "made", "--notebook", "nope"], "unknown notebook 'nope'"),
        (["--study", "made", "--workers", "0"], "--workers is 0"),
    ],
)
def test_bad_input_is_a_sentence(project, clip_scaling, words, reason):
    said = clip_scaling("figure", *words)
    assert said.code == 2 and reason in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize("name", ["explore_fit", "explore_yours", "explore_planner"])
def test_explore_notebooks_run(tmp_path, root, name):
    import papermill

    done = papermill.execute_notebook(
        str(root / "notebooks" / f"{name}.ipynb"), str(tmp_path / "done.ipynb"), cwd=str(root), progress_bar=False
    )
    shown = "".join(
        str(output.get("data", {}).get("text/html", "")) for cell in done.cells for output in cell.get("outputs", [])
    )
    assert "<table" in shown and "95 %" in shown


def test_explore_takes_points_of_the_users_own(project):
    from clip_scaling.figure import explore

    mine = project / "mine.csv"
    mine.write_text("label,compute,error\nmine,5000.0,0.3\n", encoding="utf-8")
    without = explore.fit("made", "icons-frequent", "acc1", family="icons", draws=0)._repr_html_()
    shown = explore.fit("made", "icons-frequent", "acc1", family="icons", own_points=mine, draws=0)._repr_html_()
    # Four of the eight models lie 10 times above chance.
    assert "converged, 5 models" in shown and "&quot;mine&quot;" in shown
    assert "4 models" in without and "&quot;mine&quot;" not in without
    mine.write_text("label,compute,error\nmine,-1,0.3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"compute is '-1' in data row 1, not a number above 0"):
        explore.fit("made", "icons-frequent", "acc1", own_points=mine, draws=0)


OWN = "label,compute,error,note\na,5000,0.3,x\nb,6000,0.2,y\n"
HARM = {
    "NaN": lambda text: text.replace("0.3", "NaN"), "Inf": lambda text: text.replace("5000", "inf"), "empty": lambda text: text.replace("0.3", ""),
    "a word": lambda text: text.replace("0.3", "three"), "percent": lambda text: text.replace("0.3", "30"), "zero": lambda text: text.replace("0.3", "0"),
    "negative": lambda text: text.replace("0.3", "-0.3"), "no error": lambda text: text.replace("error", "err"),
    "no label": lambda text: text.replace("label", "name"), "a label without letters": lambda text: text.replace("a,5", " ,5"),
    "twice a column": lambda text: text.replace("note", "error"), "semicolons": lambda text: text.replace(",", ";"),
    "decimal commas": lambda text: text.replace("0.3", '"0,3"'), "twice a row": lambda text: text + "a,5000,0.3,x\n",
    "a short row": lambda text: text + "c,1\n", "nothing": lambda text: "", "NUL": lambda text: text + "\0\n",
    "UTF-16": lambda text: text.encode("utf-16"), "zeros": lambda text: bytes(100), "no UTF-8": lambda text: b"\xff" + text.encode(),
    "a control character": lambda text: text.replace("a,5", "\x1b[31m,5"), "an open quotation mark": lambda text: text + '"c,1',
    "samples that are no count": lambda text: text.replace("note", "samples").replace(",x", ",0.5").replace(",y", ",1"),
}


@pytest.mark.parametrize("harm", HARM)
def test_broken_points_of_the_users_own_are_one_sentence(project, harm):
    from clip_scaling.figure import explore

    mine, changed = project / "mine.csv", HARM[harm](OWN)
    mine.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(UserError, match="mine.csv") as told:
        explore.fit("made", "icons-frequent", "acc1", own_points=mine, draws=0)
    assert "\n" not in told.value.sentence and "\x1b" not in told.value.sentence


def test_a_byte_order_mark_and_further_columns_do_no_harm(project):
    from clip_scaling.figure import explore

    (project / "mine.csv").write_text("\ufeff" + OWN, encoding="utf-8")
    shown = explore.fit("made", "icons-frequent", "acc1", own_points=project / "mine.csv", draws=0)._repr_html_()
    assert "6 models" in shown
    with pytest.raises(UserError, match="no such file"):
        explore.fit("made", "icons-frequent", "acc1", own_points=project, draws=0)

"""Tables that the published chapter shows: a broken one is a sentence, whatever is wrong with it."""

import shutil

import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.figure import ledger

SHOWN = {"claims": ledger.claims, "errata": ledger.errata, "table_check": lambda: ledger.paper_tables(1, 26)}


@pytest.fixture
def project(tmp_path, monkeypatch, root):
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    (tmp_path / "results/published").mkdir(parents=True)
    for name in SHOWN:
        shutil.copy(root / f"results/published/{name}.csv", tmp_path / "results/published")
    return tmp_path


@pytest.mark.parametrize("name", SHOWN)
def test_the_committed_tables_are_shown(project, name):
    assert "<table" in SHOWN[name]().content


HARM = {
    "empty": lambda text: "", "semicolons": lambda text: text.replace(",", ";"), "utf-16": lambda text: text.encode("utf-16"),
    "NUL": lambda text: text + "\0\n", "a row too short": lambda text: text + "1,2\n", "an open quotation mark": lambda text: text + '"1,2\n',
    "an extra column": lambda text: text.replace("\n", ",1\n"), "no last column": lambda text: text.replace("\n", "x\n", 1),
    "a column doubled": lambda text: text.replace("\n", f",{text.split(',')[0]}\n", 1).replace("\n", ",1\n").replace(",1\n", "\n", 1),
    "a needed cell empty": lambda text: text + "," * text.splitlines()[0].count(",") + "\n",
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", SHOWN)
def test_a_broken_table_is_a_sentence(project, name, harm):
    path = project / f"results/published/{name}.csv"
    text = HARM[harm](path.read_text())
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=f"{name}.csv") as told:
        SHOWN[name]()
    assert "\n" not in told.value.sentence


@pytest.mark.parametrize(("low", "high", "said"), [(" ", " ", "1.5 pp"), ("", "", "1.5 pp"), ("1", "", "1.5 pp"), ("", "2", "1.5 pp")])
def test_an_interval_that_lacks_an_end_is_none(project, low, high, said):
    (project / "results/published/errata.csv").write_text(
        f"erratum,topic,evidence,value,low,high,unit,paper,source\n1,t,e,1.5,{low},{high},pp,,s\n")
    assert said in ledger.errata().content.replace("\u00a0", " ").replace("&nbsp;", " ")

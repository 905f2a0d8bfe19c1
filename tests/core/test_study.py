"""Study files: the shipped ones are valid, and each kind of fault is told in one sentence."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.core.study import load_study, load_yaml, study_path


@pytest.fixture
def content(root):
    return yaml.safe_load((root / "studies/cpu.yaml").read_text())


def write(tmp_path, content) -> str:
    path = tmp_path / "my.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_shipped_studies_are_valid(root):
    for path in (root / "studies").glob("*.yaml"):
        assert load_study(str(path)).train.runs, path


def test_cpu_grid_shows_every_scale():
    study = load_study("cpu")
    runs = study.train.runs
    assert len(runs) >= 18
    assert {run.samples_seen for run in runs} == {51_200, 204_800, 819_200}
    assert {run.subset for run in runs} == {"small", "medium", "large", "interface", "pictorial"}
    assert len({run.architecture for run in runs}) == 3
    cells = [(run.architecture, run.subset, run.samples_seen) for run in runs]
    assert max(cells.count(cell) for cell in cells) == 3, "three seeds of one cell"


def test_unknown_study_names_the_known_ones():
    with pytest.raises(UserError, match="unknown study 'nope'.*cpu"):
        study_path("nope")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["train"].update(bathc_size=1), "train.bathc_size"),
        (lambda c: c["train"].update(batch_size="many"), "train.batch_size"),
        (lambda c: c["train"]["runs"][0].update(samples_seen=100), "no multiple of the batch"),
        (lambda c: c["train"]["runs"][0].update(architecture="ViT-Q"), "unknown architecture 'ViT-Q'"),
        (lambda c: c["train"]["runs"][0].update(subset="huge"), "unknown subset 'huge'"),
        (lambda c: c["train"]["runs"].append(dict(c["train"]["runs"][0])), "stands twice"),
        (lambda c: c.pop("fit"), "fit"),
        (lambda c: c.update(study="../evil"), "study"),
    ],
)
def test_fault_is_one_sentence(tmp_path, content, change, said):
    change(content)
    with pytest.raises(UserError, match=said) as caught:
        load_study(write(tmp_path, content))
    assert "my.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: 1\na: 2\n", "a: [", "!!python/object:os.system {}", "- 1\n"])
def test_dangerous_or_broken_yaml_is_refused(tmp_path, text):
    with pytest.raises(UserError):
        load_study(write(tmp_path, text))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "my.yaml"
    path.write_bytes(data)
    with pytest.raises(UserError):  # no random bytes are a whole study
        load_study(str(path))


def test_load_yaml_reads_plain_values(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: [1, {b: x}]\n")
    assert load_yaml(path) == {"a": [1, {"b": "x"}]}


def test_the_study_that_params_selects_is_known_by_name_wherever_its_file_is(tmp_path, monkeypatch):
    from clip_scaling.core.study import study_path

    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    (tmp_path / "params.yaml").write_text("study: mine\nstudy_file: elsewhere/my.yaml\n")
    with pytest.raises(UserError, match="unknown study 'mine'"):
        study_path("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "my.yaml").write_text("study: mine\n")
    assert study_path("mine") == tmp_path / "elsewhere" / "my.yaml"
    with pytest.raises(UserError, match="unknown study 'other'"):
        study_path("other")

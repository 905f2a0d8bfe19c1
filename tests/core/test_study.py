"""Study files: the shipped ones are valid, and each kind of fault is told in one sentence."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.core.errors import UserError
from clip_scaling.core.study import load_study, load_yaml, study_path
from odd_files import make_odd


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


@pytest.mark.parametrize("text", [
    "study: !!bool maybe", 'study: !!int ""', 'study: !!float ""', "study: !!timestamp x", 'study: !!int "1:20"', "study: ! cpu",
    "study: !!str 1", "study: !own cpu", "study: !<tag:yaml.org,2002:int> 010", "!!map {study: cpu}", "study: !!seq [a]", "? !!null x\n: 1",
    "study: !!set {a}", "study: !!omap [a: 1]", "study: !!pairs [a: 1]", "study: !!binary x", "study: !\x1b[31m x", "!!python/name:os.system a",
])
@pytest.mark.parametrize("name", ["my.yaml", "params.yaml", "dvc.lock"])
def test_a_tag_is_refused_in_a_sentence(tmp_path, text, name):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_yaml(path)
    sentence = str(caught.value)
    assert name in sentence and sentence.isprintable() and ("tags such as" in sentence or "\x1b" in text)


@pytest.mark.parametrize("text", ['a: "\\ud800"', '"\\udfff": 1', 'a: ["x\\ud83d\\ude00"]'])
def test_half_a_surrogate_pair_is_no_text(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="half a surrogate pair"):
        load_yaml(path)


def test_the_repositorys_own_files_have_no_tags(root):
    files = [*(root / "studies").glob("*.yaml"), *(root / name for name in ("params.yaml", "dvc.yaml", "CITATION.cff", "dvc.lock"))]
    files += (root / "src").rglob("*.yaml")
    assert len(files) > 6 and all(load_yaml(path, most=2 << 20) for path in files)


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


HOSTILE_VALUES = [
    ("train.runs.0.seed", "1" * 30), ("train.runs.0.seed", "-1"), ("train.runs.0.seed", "040"), ("train.runs.0.seed", "0x10"),
    ("train.runs.0.warmup_steps", "9" * 20), ("train.runs.0.learning_rate", ".inf"), ("train.runs.0.learning_rate", ".nan"),
    ("train.runs.0.learning_rate", "true"), ("train.runs.0.learning_rate", "'0.003'"), ("train.runs.0.learning_rate", "1e300"),
    ("train.runs.0.learning_rate", "0"), ("train.runs.0.precision", "fp99"), ("train.runs.0.samples_seen", "1:20"),
    ("train.runs.0.samples_seen", "51_200"), ("train.runs.0.samples_seen", "5.12e4"), ("train.runs.0.samples_seen", "1" + "0" * 5000),
    ("train.runs.0.batch_size", "true"), ("train.runs.0.name", "a/b"), ("train.runs.0.name", '"a\\n"'), ("train.runs.0.name", "..") ,
    ("prepare.vocabulary", "1" + "0" * 20), ("prepare.seed", "1" * 30), ("prepare.image_size", "100000"), ("prepare.image_size", "1"),
    ("train.augment_shift", "100000"), ("train.augment_shift", "32"), ("train.augment_shift", "no"), ("train.beta1", ".inf"),
    ("train.weight_decay", ".inf"), ("train.weight_decay", "-.inf"), ("train.warmup_fraction", "true"), ("train.gradient_clip", "1e999"),
    ("train.architectures.0.learning_rate", ".inf"), ("train.architectures.0.token_embedding_lr_scale", "1e308"),
    ("train.cluster", "{gpus_per_node: 1" + "0" * 20 + "}"), ("train.cluster", '{setup: ["a\\u001b"]}'), ("train.cluster", "{watts_per_gpu: .inf}"),
    ("study", "published"), ("study", "fixture"), ("study", "Published"), ("study", "../x"), ("study", "2024"), ("study", "''"),
    ("study", "true"), ("fit.bootstrap", "1" + "0" * 12), ("fit.forms", "['a b']"), ("fit.forms", "[power, 7]"), ("subset.shard_samples", "1" * 25),
    ("subset.subsets.0.samples", "-1"), ("subset.subsets.0.shards", "'" + "x" * 5000 + "'"), ("evaluate.fine_tune.iterations", "1" * 12),
    ("evaluate.zeroshot", "{a: 1}"), ("evaluate.zeroshot", "[1]"), ("evaluate.zeroshot", "[../x]"), ("title", "1"),
]


def with_value(content, place: str, value: str) -> str:
    """The study as YAML, with `value` as it stands at `place`."""
    *before, last = place.split(".")
    holder = content
    for part in before:
        holder = holder[int(part) if part.isdigit() else part]
    holder[int(last) if last.isdigit() else last] = "VALUE"
    return yaml.safe_dump(content, width=10**9).replace("VALUE", value)


@pytest.mark.parametrize(("place", "value"), HOSTILE_VALUES)
def test_a_value_out_of_bounds_is_a_sentence(tmp_path, content, place, value):
    with pytest.raises(UserError) as caught:
        load_study(write(tmp_path, with_value(content, place, value)))
    sentence = str(caught.value)
    assert "my.yaml" in sentence and "\n" not in sentence and len(sentence) < 1500 and sentence.isprintable()


def test_scalars_are_those_of_yaml_1_2(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("[10, -3, 040, 0x1f, 1:20, 1_000, no, yes, on, true, False, null, ~, 1e3, 1.5E-3, .5, 2026-01-01, 0o17, +7, 0]")
    assert load_yaml(path) == [10, -3, "040", "0x1f", "1:20", "1_000", "no", "yes", "on", True, False, None, None, 1e3, 1.5e-3, 0.5,
                               "2026-01-01", "0o17", 7, 0]


@pytest.mark.parametrize("text", [
    "".join(f"k{n}: 1\n" for n in range(20_000)), "[" * 50_000, "{a: " * 20_000, "- " * 20_000 + "1", "a: " + "1" * 200_000,
    "x" * (300 << 10), "&a [" * 1000, "? [a]\n: b\n", "? {a: 1}\n: b\n", "<<: {a: 1}\n", "a: !!int x\n", "%TAG ! !\n--- a", "\0",
    "a: \\ud800", "--- 1\n--- 2\n", "'" * 9999, "a: |\n" + " x\n" * 9999,
])
def test_a_file_that_is_no_study_is_refused_in_time(tmp_path, text):
    begun = time.monotonic()
    with pytest.raises(UserError) as caught:
        load_study(write(tmp_path, text))
    assert time.monotonic() - begun < 20 and len(str(caught.value)) < 1500


@pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "sparse"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "my.yaml"
    make_odd(path, kind)
    for read in (load_study, load_yaml):
        with pytest.raises(UserError):
            read(str(path))


def test_twenty_thousand_names_take_no_time(content, tmp_path):
    content["train"]["architectures"] = [{"name": f"a{n}", "learning_rate": 0.1} for n in range(4000)]
    begun = time.monotonic()
    with pytest.raises(UserError, match="unknown architecture"):
        load_study(write(tmp_path, content))
    assert time.monotonic() - begun < 20


WORDS = st.sampled_from(["", "x", "-1", "0", "1", "1e300", ".inf", ".nan", "true", "null", "[]", "{}", "[[]]", "040", "1" * 40, "'", "published",
                         "../x", "<b>", "\x1b[1m", "\u202e", "é", "a\nb", "&a", "*a", "!!x", "- ", "? ", "#", "fp16", "a" * 5000])


@settings(max_examples=80, deadline=5000)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["value", "drop", "double", "indent", "key", "cut"]), WORDS),
                min_size=1, max_size=4))
def test_a_changed_study_is_a_study_or_a_sentence(tmp_path_factory, root, changes):
    lines = (root / "studies/smoke.yaml").read_text().splitlines()
    for place, how, word in changes:
        place %= max(len(lines), 1)
        line = lines[place] if lines else ""
        head, colon, tail = line.rpartition(":")
        lines[place:place + 1] = {"value": [f"{head}{colon} {word}"], "drop": [], "double": [line, line], "indent": [f"  {line}"],
                                  "key": [f"{word}: {tail}"], "cut": [line[: len(line) // 2]]}[how]
    path = tmp_path_factory.mktemp("fuzz") / "my.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        load_study(str(path))
    except UserError as error:
        assert error.sentence.isprintable() and len(error.sentence) < 2500

"""Models: runs' folders and open_clip's checkpoints give the same features; nothing in a checkpoint is executed."""

import json
import pickle

import pytest

torch = pytest.importorskip("torch")

from clip_scaling.core.errors import UserError  # noqa: E402
from clip_scaling.evaluate.features import encode_images, image_features, text_features  # noqa: E402
from clip_scaling.evaluate.folder import open_folder, read_split  # noqa: E402
from clip_scaling.evaluate.model import from_open_clip, from_run, load  # noqa: E402
from clip_scaling.train.openclip import open_clip  # noqa: E402

NAME = "tiny-ViT-for-tests"


@pytest.fixture
def registered(run_folders, tmp_path):
    """A run's architecture under a name of open_clip's, as its command would know it."""
    config = json.loads((run_folders[0] / "model.json").read_text())
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": str(run_folders[0] / "bpe.txt.gz")}
    (tmp_path / f"{NAME}.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / f"{NAME}.json")
    return NAME


def state(run_folder) -> dict:
    return from_run(run_folder).clip.state_dict()


@pytest.mark.parametrize("form", ["pt", "trainer", "distributed", "safetensors"])
def test_checkpoint_file_equals_the_run(registered, run_folders, classification, tmp_path, form):
    weights, path = state(run_folders[0]), tmp_path / f"checkpoint.{'safetensors' if form == 'safetensors' else 'pt'}"
    if form == "safetensors":
        path.write_bytes((run_folders[0] / "model.safetensors").read_bytes())
    elif form == "pt":
        torch.save(weights, path)
    else:
        prefix = "module." if form == "distributed" else ""
        torch.save({"epoch": 1, "name": "run", "state_dict": {prefix + key: value for key, value in weights.items()},
                    "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}, path)
    run, model = from_run(run_folders[0]), from_open_clip(registered, str(path))
    items = read_split(open_folder(classification), "test", run.geometry)
    assert torch.equal(encode_images(run, items.images), encode_images(model, items.images))
    assert torch.equal(text_features(run, ["red patch"]), text_features(model, ["red patch"]))


class Hostile:
    def __reduce__(self):
        return (open, ("/tmp/clip-scaling-was-here", "w"))


def test_pickled_code_is_refused_and_not_run(registered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "ran"
    Hostile.__reduce__ = lambda self: (open, (str(marker), "w"))
    path = tmp_path / "hostile.pt"
    torch.save({"state_dict": Hostile()}, path)
    with pytest.raises(UserError, match="not executed") as caught:
        from_open_clip(registered, str(path))
    assert not marker.exists()
    assert "Traceback" not in caught.value.sentence


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps([1, 2]), b"PK\x03\x04 broken archive"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_broken_file_is_one_sentence(registered, tmp_path, content, suffix):
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        from_open_clip(registered, str(path))
    assert str(path) in caught.value.sentence and len(caught.value.sentence) < 600


def test_checkpoint_of_another_shape_is_one_sentence(registered, run_folders, tmp_path):
    weights = state(run_folders[0])
    weights["visual.proj"] = torch.zeros(7, 7)
    torch.save(weights, tmp_path / "other.pt")
    with pytest.raises(UserError, match="does not load as"):
        from_open_clip(registered, str(tmp_path / "other.pt"))
    torch.save({key: value for key, value in weights.items() if key != "visual.proj"}, tmp_path / "less.pt")
    with pytest.raises(UserError, match="does not load as"):
        from_open_clip(registered, str(tmp_path / "less.pt"))


@pytest.mark.parametrize(
    ("name", "pretrained", "said"),
    [
        ("no-such-model", "laion2b", "unknown model 'no-such-model'"),
        ("ViT-B-32", "no-such-tag", "neither a file nor a tag of ViT-B-32.*laion2b_s34b_b79k"),
        ("ViT-B-32", None, "no run's folder"),
    ],
)
def test_unknown_names_name_the_known(name, pretrained, said):
    with pytest.raises(UserError, match=said):
        load(name, pretrained)


def test_features_that_are_not_finite_are_refused(model, classification):
    with torch.no_grad():
        model.clip.visual.proj.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        image_features(model, read_split(open_folder(classification), "test", model.geometry))


def test_content_names_weights_and_normalisation(run_folders, tmp_path, merges):
    from clip_scaling.train.models import build_model, save_model, set_normalisation

    first, second = (from_run(folder) for folder in run_folders)
    assert first.content != second.content == from_run(run_folders[1]).content
    config = json.loads((run_folders[0] / "model.json").read_text())
    clip = build_model(config, seed=0)
    set_normalisation(clip, {"mean": [1.0] * 3, "std": [1.0] * 3, "fill_color": 255})
    save_model(clip, config, merges, tmp_path / "ink")
    ink = from_run(tmp_path / "ink")
    assert (ink.mean, ink.std, ink.geometry.fill_color) == ((1.0,) * 3, (1.0,) * 3, 255)
    assert ink.content != first.content

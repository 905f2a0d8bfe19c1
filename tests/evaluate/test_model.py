"""Models: runs' folders and open_clip's checkpoints give the same features; nothing in a checkpoint is executed."""

import gzip
import io
import json
import pickle
import shutil
import time
import zipfile

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


def archive(pickled: bytes) -> bytes:
    """A zip in torch's form, of a pickle of no tensors."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as parts:
        parts.writestr("archive/data.pkl", pickled)
        parts.writestr("archive/version", b"3\n")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [
    b"", b"not a checkpoint", pickle.dumps([1, 2]), b"PK\x03\x04 broken archive", b"PK\x03\x04", b"\x80\x02.", b"\x80", b"\x80\x02]a.",
    archive(b"\x80\x02]a."), archive(b"\x80\x02."), archive(b""), archive(b"\x80\x02]."), archive(b"\x80\x02K\x01."), archive(b"\x80\x02}."),
], ids=range(14))
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


@pytest.mark.parametrize("value", [torch.tensor(1.0), torch.zeros(0), torch.zeros(2, 2, 2, 2), torch.zeros(0, 7), 1, None, "x", []], ids=range(8))
def test_positional_embeddings_of_another_shape_are_a_sentence(registered, run_folders, tmp_path, value):
    torch.save(state(run_folders[0]) | {"visual.positional_embedding": value}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="does not load as"):
        from_open_clip(registered, str(tmp_path / "other.pt"))


def spread(*shape) -> torch.Tensor:
    """A tensor of any shape, of one number."""
    return torch.zeros(1).expand(*shape)


@pytest.mark.parametrize(("name", "value", "said"), [
    ("visual.positional_embedding", spread(31_623**2 + 1, 16), "as a whole"), ("positional_embedding", spread(10**9, 16), "as a whole"),
    ("visual.proj", spread(10**9, 10**9), "as a whole"), ("visual.positional_embedding", torch.zeros(10**9, 16, device="meta"), "as a whole"),
    ("visual.proj", torch.eye(7).to_sparse(), "as a whole|does not load"),
    ("logit_scale", torch.tensor(1j), "complex"), ("visual.proj", torch.complex64, "complex"), ("visual.proj", torch.int8, "no floats"),
    ("visual.proj", torch.bool, "no floats"), ("logit_scale", torch.tensor(3), "no floats"), ("logit_scale", torch.tensor(float("nan")), "not finite"),
    ("ln_final.bias", float("inf"), "not finite"), ("visual.ln_post.weight", float("-inf"), "not finite"),
])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_that_are_none_are_refused_at_once(registered, run_folders, tmp_path, name, value, said, prefix):
    weights = dict(state(run_folders[0]))
    if isinstance(value, torch.dtype):
        value = torch.ones_like(weights[name], dtype=value)
    elif isinstance(value, float):
        value = torch.full_like(weights[name], value)
    torch.save({f"{prefix}{key}": held for key, held in (weights | {name: value}).items()}, tmp_path / "other.pt")
    begun = time.monotonic()
    with pytest.raises(UserError, match=said) as caught:
        from_open_clip(registered, str(tmp_path / "other.pt"))
    assert time.monotonic() - begun < 5 and str(tmp_path) in caught.value.sentence


def test_a_checkpoint_that_unpacks_to_many_times_its_size_is_refused(registered, run_folders, tmp_path):
    torch.save(state(run_folders[0]) | {"visual.positional_embedding": torch.zeros(1 << 22)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for part in plain.infolist():
            packed.writestr(part.filename, plain.read(part))
    with pytest.raises(UserError, match=r"bomb\.pt: is packed"):
        from_open_clip(registered, str(tmp_path / "bomb.pt"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_floats_are_read(registered, run_folders, tmp_path, dtype):
    torch.save({key: value.to(dtype) for key, value in state(run_folders[0]).items()}, tmp_path / "half.pt")
    assert from_open_clip(registered, str(tmp_path / "half.pt")).clip.visual.proj.dtype is torch.float32


@pytest.mark.parametrize("raised", [MemoryError, OSError, KeyboardInterrupt])
def test_what_is_not_the_files_fault_is_not_called_its_fault(registered, run_folders, tmp_path, monkeypatch, raised):
    torch.save(state(run_folders[0]), tmp_path / "whole.pt")

    def fails(*_, **__):
        raise raised()

    monkeypatch.setattr(open_clip, "create_model", fails)
    with pytest.raises(UserError if raised is MemoryError else raised) as caught:
        from_open_clip(registered, str(tmp_path / "whole.pt"))
    assert "does not load" not in str(caught.value)


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


def changed(place: str, value):
    def change(config):
        *before, last = place.split(".")
        for part in before:
            config = config[part]
        config[last] = value

    return change


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


HUGE = 10**9
CONFIGS = [
    *(changed(place, value) for place in ("vision_cfg.width", "vision_cfg.patch_size", "vision_cfg.head_width", "vision_cfg.layers",
                                          "vision_cfg.image_size", "text_cfg.width", "text_cfg.heads", "text_cfg.layers",
                                          "text_cfg.context_length", "text_cfg.vocab_size", "embed_dim")
      for value in (0, -1, HUGE, 10**30, "8", None, True, 1.5, [], {})),
    changed("vision_cfg.width", 32_000), changed("vision_cfg.layers", 500), changed("text_cfg.width", 30_000), changed("text_cfg.vocab_size", 9_000_000),
    changed("text_cfg.tokenizer_kwargs", {}), changed("text_cfg.tokenizer_kwargs", 7), changed("text_cfg.tokenizer_kwargs", {"bpe_path": 7}),
    changed("text_cfg.tokenizer_kwargs", {"bpe_path": "/etc/passwd"}), changed("text_cfg.tokenizer_kwargs", {"bpe_path": "../bpe.txt.gz"}),
    changed("text_cfg.tokenizer_kwargs", {"bpe_path": "gone.gz"}), changed("text_cfg.tokenizer_kwargs", {"bpe_path": ""}),
    changed("text_cfg.tokenizer_kwargs", {"bpe_path": "."}), changed("text_cfg.hf_model_name", "someone/model"),
    changed("text_cfg.hf_tokenizer_name", "x"), changed("vision_cfg.timm_model_pretrained", True), changed("vision_cfg", 1), changed("text_cfg", []),
    changed("nonsense", 1), changed("vision_cfg.mlp_ratio", 1e300), changed("vision_cfg.mlp_ratio", float("inf")), changed("vision_cfg.patch_dropout", 7),
    changed("vision_cfg.act_kwargs", {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}}), changed("\x1b[31m", {"hf_x": 1}),
]


@pytest.fixture
def copied(run_folders, tmp_path):
    return shutil.copytree(run_folders[0], tmp_path / "run")


def refused(clip_scaling, folder, data, *words):
    begun = time.monotonic()
    said = clip_scaling("evaluate", "--model", folder, "--data", data, *words)
    assert said.code == 2 and said.out == "" and said.err.count("\n") == 1 and len(said.err) < 2500 and "\x1b" not in said.err, said
    assert time.monotonic() - begun < 10
    return said.err


@pytest.mark.parametrize("change", CONFIGS)
def test_a_configuration_out_of_bounds_is_a_sentence(clip_scaling, copied, classification, change, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the network was asked"))
    config = json.loads((copied / "model.json").read_text())
    change(config)
    (copied / "model.json").write_text(json.dumps(config))
    assert "run" in refused(clip_scaling, copied, classification)


@pytest.mark.parametrize("text", ["", "[]", "1", "{", "null", "[" * 20_000, "{}", '{"vision_cfg": {}}', "\0"])
@pytest.mark.parametrize("name", ["model.json", "open_clip_config.json"])
def test_a_file_of_a_run_that_is_none_is_a_sentence(clip_scaling, copied, classification, name, text):
    (copied / name).write_text(text)
    refused(clip_scaling, copied, classification)


@pytest.mark.parametrize("preprocess", [
    {"mean": ["a", "b", "c"]}, {"mean": [1, 1]}, {"mean": 1}, {"std": [0, 0, 0]}, {"std": [1, 1, "x"]}, {"size": 0}, {"size": 10**9}, {"size": "x"},
    {"size": [32]}, {"size": [32, 10**9]}, {"interpolation": "magic"}, {"interpolation": 7}, {"resize_mode": "x"}, {"fill_color": -1},
    {"fill_color": 10**9}, {"fill_color": "red"}, {"unknown": 1}, {"mode": "L"}, [1], "x", 7, {"mean": [float("nan")] * 3}, {"mean": [[1], 1, 1]},
])
def test_a_normalisation_that_is_none_is_a_sentence(clip_scaling, copied, classification, preprocess):
    (copied / "open_clip_config.json").write_text(json.dumps({"preprocess_cfg": preprocess}))
    refused(clip_scaling, copied, classification)


@pytest.mark.parametrize("content", [
    b"", b"junk", b"\x1f\x8b\x08\x00", zipped(b"junk"), zipped(b"\xff\xfe"), zipped(b"#\na b c\n"), zipped(b"#\nonly\n"),
    zipped(b"#\n" + b"x y\n" * 3 + b"\n" + b"x y\n"), zipped(b"#\n" + bytes(80 << 20)), zipped(b"# v\na b\n")[:-9],
    zipped(b"# v\n" + b"a b\n" * 99)[:20] + b"\xff" * 20,
], ids=range(11))
def test_merges_that_are_none_are_a_sentence(clip_scaling, copied, classification, content):
    (copied / "bpe.txt.gz").write_bytes(content)
    refused(clip_scaling, copied, classification)


@pytest.mark.parametrize("device", ["cuda:99", "cuda:9999", "xx", "", "cpu:7", "cuda:-1", "meta", "\x1b[31m", "cuda:1e3", "cuda:²"])
def test_a_device_that_is_none_is_a_sentence(clip_scaling, run_folders, classification, device):
    assert "device" in refused(clip_scaling, run_folders[0], classification, f"--device={device}")

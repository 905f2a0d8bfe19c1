import numpy as np
import pytest
import torch
from PIL import Image

from clip_scaling.core.errors import UserError
from clip_scaling.train import models, towers
from clip_scaling.train.openclip import open_clip


def _pairs(count: int, model, size: int):
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8, generator=generator)
    tokens = torch.zeros(count, model.context_length, dtype=torch.long)
    for row in range(count):
        words = 1 + row % 7
        tokens[row, 0] = model.vocab_size - 2
        tokens[row, 1:1 + words] = torch.randint(0, model.vocab_size - 2, (words,), generator=generator)
        tokens[row, 1 + words] = model.vocab_size - 1
    return images, tokens


def _as_open_clip(images: torch.Tensor, model) -> torch.Tensor:
    """Through open_clip's own transform, image by image."""
    preprocess = getattr(model.visual, "preprocess_cfg", None) or {}
    transform = open_clip.image_transform(
        (32, 32), is_train=False, mean=preprocess.get("mean"), std=preprocess.get("std"))
    return torch.stack([transform(Image.fromarray(image.numpy())) for image in images])


@pytest.mark.parametrize("normalisation", models.NORMALISATIONS)
@pytest.mark.parametrize("name", models.own_architectures())
def test_fast_towers_agree_with_open_clip(name, normalisation):
    """Features, loss and every gradient, against open_clip's own forward pass."""
    model = models.build_model(models.architecture(name), seed=1)
    models.set_normalisation(model, models.NORMALISATIONS[normalisation])
    assert towers.is_plain(model)
    images, tokens = _pairs(12, model, 32)
    loss = open_clip.ClipLoss()

    expected = model.encode_image(_as_open_clip(images, model), normalize=True), model.encode_text(tokens, normalize=True)
    loss(*expected, model.logit_scale.exp()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    found = towers.features(model)(images, tokens[:, :9])
    loss(*found, model.logit_scale.exp()).backward()

    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, atol=2e-6, rtol=0)
    for parameter_name, parameter in model.named_parameters():
        largest = gradients[parameter_name].abs().max().item()
        torch.testing.assert_close(parameter.grad, gradients[parameter_name], atol=3e-5 * largest + 1e-8, rtol=0)


def test_a_variation_goes_through_open_clips_own_towers():
    config = models.architecture("ViT-XXS-8")
    config["vision_cfg"]["pool_type"] = "avg"
    model = models.build_model(config, seed=0)
    images, tokens = _pairs(4, model, 32)
    assert not towers.is_plain(model)
    image_features, text_features = towers.features(model)(images, tokens[:, :9])
    torch.testing.assert_close(image_features, model.encode_image(_as_open_clip(images, model), normalize=True), atol=1e-6, rtol=0)
    torch.testing.assert_close(text_features, model.encode_text(tokens, normalize=True), atol=1e-6, rtol=0)


def test_initial_weights_depend_on_the_seed_alone():
    config = models.architecture("ViT-XXS-8")
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first = models.build_model(config, seed=5).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(12)
    second, other = models.build_model(config, seed=5).state_dict(), models.build_model(config, seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_unknown_architecture_is_told_with_the_known_ones():
    with pytest.raises(UserError, match="unknown architecture 'ViT-Q'.*ViT-XXS-8"):
        models.architecture("ViT-Q")


def test_saved_model_loads_in_our_loader_and_open_clips(project, spec, tmp_path, monkeypatch):
    tokenizer = models.load_tokenizer(spec.tokenizer)
    config = models.model_config(spec.config, tokenizer)
    model = models.build_model(config, seed=2)
    models.set_normalisation(model, models.NORMALISATIONS["ink"])
    models.save_model(model, config, spec.tokenizer, tmp_path / "run")
    loaded, loaded_tokenizer = models.load_model(tmp_path / "run")
    tokens = loaded_tokenizer(["a red bar"])
    assert np.array_equal(tokens, tokenizer(["a red bar"]))
    assert tokens.max() == tokenizer.vocab_size - 1
    with torch.no_grad():
        assert torch.equal(loaded.encode_text(tokens), model.eval().encode_text(tokens))
    assert loaded.visual.preprocess_cfg["mean"] == [1.0, 1.0, 1.0]
    monkeypatch.chdir(tmp_path / "run")
    theirs, transform = open_clip.create_model_from_pretrained("local-dir:.")
    their_tokens = open_clip.get_tokenizer("local-dir:.")(["a red bar"])
    white = transform(Image.new("RGB", (32, 32), "white"))
    assert bool((white == 0).all())
    with torch.no_grad():
        assert torch.equal(theirs.encode_text(their_tokens), model.encode_text(tokens))
        assert torch.equal(theirs.encode_image(white[None]), model.encode_image(white[None]))


@pytest.mark.parametrize("broken", ["model.safetensors", "model.json", "bpe.txt.gz"])
def test_broken_run_folder_is_one_sentence(project, spec, tmp_path, broken):
    tokenizer = models.load_tokenizer(spec.tokenizer)
    config = models.model_config(spec.config, tokenizer)
    models.save_model(models.build_model(config), config, spec.tokenizer, tmp_path / "run")
    path = tmp_path / "run" / broken
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(UserError):
        models.load_model(tmp_path / "run")
    path.unlink()
    with pytest.raises(UserError, match=broken):
        models.load_model(tmp_path / "run")

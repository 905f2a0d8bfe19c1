"""Counted compute against the paper's Table 25 and open_clip's published profile."""

import pytest

from clip_scaling.cli import main
from clip_scaling.train.compute import compute, gmacs
from clip_scaling.train.models import architecture, build_model, count_parameters, own_architectures

# architecture: GMAC of both towers, of the image tower, millions of activations of both, exact parameters
PUBLISHED = {
    "ViT-B-32": (7.40, 4.41, 10.31, 151_277_313),
    "ViT-B-16": (20.57, 17.58, 29.20, 149_620_737),
    "ViT-L-14": (87.73, 81.08, 96.74, 427_616_513),
    "ViT-H-14": (190.97, 167.40, 160.61, 986_109_441),
    "ViT-g-14": (290.74, 267.18, 213.84, 1_366_678_273),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_architectures(name):
    total, image, activations, parameters = PUBLISHED[name]
    counted = compute(name)
    assert counted.both.gmacs == pytest.approx(total, rel=0.01)
    assert counted.image.gmacs == pytest.approx(image, rel=0.01)
    assert counted.both.activations == pytest.approx(activations, rel=0.01)
    assert counted.both.parameters == parameters


@pytest.mark.parametrize("name", own_architectures())
def test_own_architectures_agree_with_a_count_by_hand(name):
    """The formula of a transformer: 12 w^2 a token and layer, 2 L^2 w for attention, 5 a normalised element."""
    config = architecture(name)
    vision, text, embed = config["vision_cfg"], config["text_cfg"], config["embed_dim"]

    def tower(width, layers, tokens):
        attention = 2 * tokens * tokens * width
        return layers * (12 * width * width * tokens + attention + 2 * 5 * tokens * width)

    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    width = vision["width"]
    image = patches * 3 * vision["patch_size"] ** 2 * width + tower(width, vision["layers"], patches + 1)
    # ln_pre and ln_post on every token, then the projection of one
    image += 2 * 5 * (patches + 1) * width + width * embed
    words = tower(text["width"], text["layers"], text["context_length"])
    words += 5 * text["context_length"] * text["width"] + text["width"] * embed
    assert gmacs(name) * 1e9 == pytest.approx(image + words, rel=1e-3)
    assert compute(name).both.parameters == count_parameters(build_model(config))


def test_command_prints_json(capsys):
    import json

    assert main(["compute", "ViT-S-8", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["both"]["gmacs"] == pytest.approx(printed["image"]["gmacs"] + printed["text"]["gmacs"])


def test_unknown_architecture_ends_with_code_2(capsys):
    assert main(["compute", "ViT-Q"]) == 2
    assert "unknown architecture 'ViT-Q'" in capsys.readouterr().err

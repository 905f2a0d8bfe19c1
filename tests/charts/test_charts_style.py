"""Colours legible on both pages; names keep their colours."""

import pandas as pd
import pytest

from clip_scaling.charts import style


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("page", style.PAGES.values())
@pytest.mark.parametrize("colour", style.PALETTE)
def test_every_colour_has_contrast_three_on_both_pages(colour, page):
    light, dark = sorted((luminance(colour), luminance(page)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_a_family_keeps_its_colour_whatever_stands_beside_it():
    alone, among = style.colours(["LAION"]), style.colours(["CLIP-WIT", "LAION", "mine"])
    colour = dict(zip(among["domain"], among["range"], strict=True))
    assert colour["LAION"] == alone["range"][0]
    assert len(set(colour.values())) == 3


def test_sizes_come_in_order_of_size():
    assert style.in_order(pd.Series(["ViT-S-8", "ViT-XXS-8", "ViT-XS-8"])) == ["ViT-XXS-8", "ViT-XS-8", "ViT-S-8"]


def test_an_architecture_keeps_colour_and_shape_whatever_stands_beside_it():
    for scale in (style.colours, style.shapes):
        alone, among = scale(["ViT-L-14"]), scale(["mine", "ViT-B-32", "ViT-L-14"])
        shown = dict(zip(among["domain"], among["range"], strict=True))
        assert shown["ViT-L-14"] == alone["range"][0] and len(set(shown.values())) == 3


def test_lines_that_may_hide_each_other_have_dashes_of_their_own():
    dashes = style.dashes(["a", "b", "c"])["range"]
    assert dashes[0] == [1, 0] and dashes[1] != dashes[2]

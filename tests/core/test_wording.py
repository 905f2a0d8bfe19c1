"""Numbers and names as a reader reads them."""

import math

import pytest

from clip_scaling.core.wording import ends, fixed, interval, listed, measured, minus, named, number, with_interval
from clip_scaling.fit import forms


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.57401e-05, "5.574 × 10⁻⁵"),
        (25434994.0, "25,434,994"),
        (1e40, "1 × 10⁴⁰"),
        (-0.1113884, "−0.1114"),
        (3028.18, "3,028"),
        (13.0, "13"),
        (0.0, "0"),
        (math.inf, "∞"),
        (math.nan, ""),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_interval_has_minus_signs_and_is_empty_without_ends():
    assert interval(-0.138, 0.0731) == "−0.138 to 0.073"
    assert interval(math.nan, 1.0) == "" and ends(math.nan, 1.0) == ""
    assert ends(-0.13811, 5e-6) == "−0.138 to 5 × 10⁻⁶"
    assert with_interval("1", "0 to 2") == "1 (0 to 2)" and with_interval("1", "") == "1"
    assert fixed(1234.5, 1) == "1,234.5" and fixed(math.nan, 2) == ""


def test_only_a_hyphen_before_a_number_of_its_own_is_a_minus_sign():
    assert minus("-0.1 [-0.2, .3] of ViT-B-32, 0.1-0.3") == "−0.1 [−0.2, .3] of ViT-B-32, 0.1-0.3"


def test_names():
    assert named("imagenet1k") == "ImageNet" and named("some_set") == "some set"
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c" and listed([]) == "none"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("imagenet1k", "ImageNet"),
        ("vtab/diabetic_retinopathy", "diabetic retinopathy (VTAB)"),
        ("vtab/dtd", "DTD (VTAB)"),
        ("icons-frequent", "icons-frequent"),
        ("some_form", "some form"),
    ],
)
def test_a_name_without_its_own(name, text):
    assert named(name) == text


def test_accuracy_goes_without_saying():
    assert measured("icons", "acc1") == "icons"
    assert measured("flickr30k", "text_retrieval_recall@5") == "Flickr30K, text Recall@5"


def test_no_form_of_law_is_shown_with_underscores():
    assert not any("_" in named(form) for form in forms.form_names())

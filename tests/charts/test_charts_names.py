"""Identifiers as a reader reads them."""

import pytest

from clip_scaling.charts import names
from clip_scaling.fit import forms


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
def test_readable(name, text):
    assert names.readable(name) == text


def test_accuracy_goes_without_saying():
    assert names.measured("icons", "acc1") == "icons"
    assert names.measured("flickr30k", "text_retrieval_recall@5") == "Flickr30K, text Recall@5"


def test_no_form_of_law_is_shown_with_underscores():
    assert not any("_" in names.readable(form) for form in forms.form_names())

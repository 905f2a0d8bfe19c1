"""The published points give the paper's own coefficients, and the three-variable law its accuracy."""

import numpy as np
import pytest

from clip_scaling.fit.estimate import fit
from clip_scaling.fit.heldout import hold_out, split_largest

PAPER = {
    "imagenet1k": ((-0.1114, 5.86), (-0.1638, 23.18)),
    "imagenet_robustness": ((-0.1255, 11.61), (-0.2378, 211.66)),
    "mscoco_captions": ((-0.0794, 2.75), (-0.0508, 1.59)),
    "flickr30k": ((-0.1892, 15.51), (-0.1028, 2.21)),
}


@pytest.mark.parametrize("dataset", PAPER)
def test_binned_front_agrees_with_the_paper(published_points, dataset):
    for family, (alpha, beta) in zip(("LAION", "CLIP-WIT"), PAPER[dataset]):
        law = fit(published_points(dataset, family), "binned_front", draws=0)
        assert law.value("alpha") == pytest.approx(alpha, abs=6e-5)
        assert law.value("beta") == pytest.approx(beta, abs=6e-3)


def test_three_variable_law_on_imagenet(published_points):
    points = published_points("imagenet1k")
    assert len(points) == 29 and split_largest(points).sum() == 6
    law, test = fit(points, "three_variable", draws=0), hold_out(points, "three_variable")
    assert law.insample_mae_pp <= 0.80
    assert test.mae_pp <= 0.60
    assert law.estimator is test.fit.estimator and law.form == test.fit.form
    assert np.isfinite(law.theta).all()

"""Models on a grid whose law is known."""

import numpy as np

from clip_scaling.fit.forms import form_named
from clip_scaling.fit.outcome import Points

TRUE = {
    "constant": [0.3],
    "power": [5.0, -0.1],
    "binned_front": [5.0, -0.1],
    "power_floor": [0.1, 60.0, -0.25],
    "saturating": [80.0, 5e10, -0.25, 0.1],
    "three_variable": [0.45, 0.15, 2e6, 0.75, 18.0],
    "three_variable_floor": [0.08, 0.4, 0.3, 2e6, 0.75, 18.0],
    "three_variable_no_repetition": [0.45, 0.15, 2e6, 0.75],
    "three_variable_product": [9.0, 0.11, 0.07, 0.06],
}


def ladder(noise: float = 0.0, seed: int = 0, form: str = "three_variable", theta=None) -> Points:
    """36 models on a grid of size, samples seen and unique samples, with errors from a form."""
    gmacs, samples, unique = (part.ravel() for part in np.meshgrid([7.4, 20.6, 87.7, 190.0], [2.5e9, 1.3e10, 3.4e10], [8e7, 4e8, 2e9]))
    points = Points(tuple(f"m{k:02d}" for k in range(36)), gmacs * samples, np.ones(36), gmacs, samples, unique, np.full(36, 5e4))
    clean = form_named(form).errors(points, np.array(TRUE[form] if theta is None else theta))
    error = clean * np.exp(noise * np.random.default_rng(seed).standard_normal(36))
    return Points(points.names, points.compute, error, gmacs, samples, unique, points.items)

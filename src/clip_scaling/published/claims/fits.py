"""Claims 1-73: exponents, factors, predictions of the paper's fits."""

from functools import lru_cache

import pandas as pd

from .. import frames, tables
from ..data import Published
from ..paper_fit import PaperFit, fit_points
from .checks import Target, number, score
from .model import Claim, Verdict, claim

FAMILIES = ("LAION", "CLIP-WIT")
ZERO_SHOT = (frames.IMAGENET, frames.ROBUSTNESS, frames.MSCOCO, frames.FLICKR)


@lru_cache(maxsize=8)
def _figure(published: Published, rows: str) -> pd.DataFrame:
    return getattr(frames, rows)(published)


@lru_cache(maxsize=128)
def fit(published: Published, rows: str, panel: str, family: str) -> PaperFit:
    """The paper's fit of a family in a panel of a figure, e.g. ("figure_1a", "ImageNet", "LAION")."""
    points = _figure(published, rows)
    return fit_points(points[points["panel"] == panel], family)


def _zero_shot(parameter: str, first: int) -> list[Claim]:
    made = []
    for place, target in enumerate(ZERO_SHOT):
        rows = "figure_1a" if place < 2 else "figure_1b"
        for step, family in enumerate(FAMILIES):
            made.append(_parameter(first + 2 * place + step, parameter, rows, target[0], family))
    return made


def _parameter(identity: int, parameter: str, rows: str, panel: str, family: str) -> Claim:
    def told(published: Published) -> str:
        found = fit(published, rows, panel, family)
        low, high = found.interval
        return f"{found.alpha:.4f}, 95 % t-interval [{low:.3f}, {high:.3f}] through {len(found.x)} points"

    note = told if parameter == "alpha" else ""
    return claim(identity, number(lambda p: getattr(fit(p, rows, panel, family), parameter), note=note))


def _probes() -> list[Claim]:
    panels = [("figure_2", f"{title}, {shots}") for title in ("ImageNet", "CIFAR-100") for shots, _ in frames.SHOTS]
    panels.append(("figure_3", "VTAB, mean of 19 tasks"))
    return [
        _parameter(17 + 4 * place + step, parameter, rows, panel, family)
        for place, (rows, panel) in enumerate(panels)
        for step, (parameter, family) in enumerate((p, f) for p in ("alpha", "beta") for f in FAMILIES)
    ]


MEASURED = {("ViT-g-14", "13B"), ("ViT-H-14", "34B")}


def table_4(published: Published, architecture: str, label: str, target: Target) -> float:
    """A cell of Table 4 in %: predicted by the paper's fit, or measured."""
    if (architecture, label) in MEASURED:
        return score(published, f"{architecture}_LAION-2B_{label}", target)
    return tables.prediction(published, "19" if target is frames.IMAGENET else "21", architecture, label)


def _predictions() -> list[Claim]:
    cells = [
        (name, label, target)
        for label in ("3B", "13B", "34B", "68B")
        for name in frames.PREDICTED
        for target in (frames.IMAGENET, frames.MSCOCO)
    ]
    return [claim(45 + place, number(lambda p, cell=cell: table_4(p, *cell))) for place, cell in enumerate(cells)]


def _gain(larger: tuple[str, str], smaller: tuple[str, str], target: Target):
    return lambda p: table_4(p, *larger, target) - table_4(p, *smaller, target)


CLAIMS = [
    *_zero_shot("alpha", 1),
    *_zero_shot("beta", 9),
    *_probes(),
    *_predictions(),
    claim(69, number(lambda p: table_4(p, "ViT-g-14", "34B", frames.IMAGENET), digits=1)),
    claim(
        70,
        number(
            lambda p: table_4(p, "ViT-H-14", "68B", frames.MSCOCO),
            note="the gain of 1.60 pp fits Table 4",
            elsewhere=("4", "H/14 68B", "mscoco_image_r5"),
        ),
        Verdict.INCONSISTENT,
    ),
    claim(71, number(_gain(("ViT-H-14", "68B"), ("ViT-H-14", "34B"), frames.IMAGENET))),
    claim(72, number(_gain(("ViT-g-14", "68B"), ("ViT-g-14", "13B"), frames.IMAGENET))),
    claim(73, number(_gain(("ViT-g-14", "68B"), ("ViT-g-14", "13B"), frames.MSCOCO))),
]

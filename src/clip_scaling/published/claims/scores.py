"""Claims 74-97: scores, whole tables, resources, and what more data or more samples bring."""

from .. import frames
from ..frames import IMAGENET, MSCOCO, MSCOCO_TEXT
from .checks import cells, gain, little_gain, no_gain, number, numbers, score
from .model import Claim, Verdict, claim

VTAB_PLUS = ("VTAB+", "zeroshot_classification", "vtab+", "acc1")


def _headline(identity: int, run: str) -> Claim:
    """ImageNet, VTAB+ and MS-COCO of one model, as Table 1 gives them."""
    targets = (IMAGENET, VTAB_PLUS, MSCOCO)
    return claim(identity, numbers([lambda p, target=target: score(p, run, target) for target in targets], digits=1))


def _more_data(identity: int, architecture: str, label: str, kind, expected: Verdict) -> Claim:
    pair = [f"{architecture}_{subset}_{label}" for subset in ("LAION-400M", "LAION-2B")]
    return claim(identity, kind(*pair, IMAGENET), expected)


def _longer(subset: str) -> tuple[str, str]:
    return f"ViT-L-14_{subset}_13B", f"ViT-L-14_{subset}_34B"


_CLEAR = (*_longer("LAION-2B"), MSCOCO)  # claim 96: the gain that the paper calls clear

CLAIMS = [
    _headline(74, "ViT-L-14_CLIP-WIT_13B"),
    _headline(75, "ViT-L-14_LAION-2B_34B"),
    _headline(76, "ViT-H-14_LAION-2B_34B"),
    *(
        claim(identity, cells(table))
        for identity, table in (
            (77, "16"),
            (78, "17"),
            (79, "19"),
            (80, "20"),
            (81, "21"),
            (82, "22"),
            (83, "23"),
            (84, "24"),
        )
    ),
    claim(85, cells("5", without="commented out")),
    claim(86, number(lambda p: frames.throughput(p)["gpu_hours"].sum(), digits=0)),
    claim(87, number(lambda p: frames.throughput(p)["energy_mwh"].sum())),
    _more_data(88, "ViT-B-32", "3B", no_gain, Verdict.WEAK),
    _more_data(89, "ViT-B-32", "13B", no_gain, Verdict.HOLDS),
    _more_data(90, "ViT-B-16", "3B", no_gain, Verdict.HOLDS),
    _more_data(
        91, "ViT-B-16", "13B", lambda *pair: no_gain(*pair, note="batch and learning rate differ too"), Verdict.FAILS
    ),
    _more_data(92, "ViT-B-32", "34B", gain, Verdict.HOLDS),
    _more_data(93, "ViT-B-16", "34B", gain, Verdict.HOLDS),
    claim(94, little_gain(*_longer("LAION-400M"), MSCOCO, clear=_CLEAR), Verdict.HOLDS),
    claim(95, little_gain(*_longer("LAION-400M"), MSCOCO_TEXT, clear=_CLEAR), Verdict.WEAK),
    claim(96, gain(*_longer("LAION-2B"), MSCOCO), Verdict.HOLDS),
    claim(
        97,
        no_gain(
            *_longer("LAION-400M"), IMAGENET, note="less than half of the gain on LAION-2B, yet no absence of gain"
        ),
        Verdict.FAILS,
    ),
]

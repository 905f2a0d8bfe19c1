"""Recall: brute force on small cases, whatever the block; and memory that does not grow with the square."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from clip_scaling.evaluate import retrieval  # noqa: E402


def brute(images, texts, owner) -> dict[str, float]:
    """Sort every query's candidates; a hit where a match is among the first k."""
    scores = (texts @ images.T).numpy()
    found = {}
    for depth in (1, 5, 10):
        if depth <= len(images):
            order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
            found[f"image_retrieval_recall@{depth}"] = np.mean([owner[t] in order[t] for t in range(len(texts))])
        if depth <= len(texts):
            order = np.argsort(-scores.T, axis=1, kind="stable")[:, :depth]
            found[f"text_retrieval_recall@{depth}"] = np.mean(
                [any(owner[t] == i for t in order[i]) for i in range(len(images))]
            )
    return found


@settings(max_examples=40, deadline=None)
@given(
    captions=st.lists(st.integers(1, 4), min_size=1, max_size=20), seed=st.integers(0, 99), ties=st.booleans(),
    block=st.integers(1, 60),
)
def test_equals_brute_force_with_ties_and_any_block(captions, seed, ties, block):
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(captions)), captions)
    # Few distinct whole numbers: products are exact, so that equal scores are equal in any order of summation.
    draw = (lambda *shape: random.integers(-1, 2, shape)) if ties else (lambda *shape: random.integers(-999, 999, shape))
    images, texts = (torch.tensor(draw(count, 4), dtype=torch.float32) for count in (len(captions), len(owner)))
    before, retrieval.BLOCK = retrieval.BLOCK, block
    try:
        found = retrieval.recalls(images, texts, owner)
    finally:
        retrieval.BLOCK = before
    assert found == pytest.approx(brute(images, texts, owner))


def test_captions_need_not_stand_in_the_order_of_their_images():
    random = np.random.default_rng(0)
    owner = random.permutation(np.repeat(np.arange(20), 3))
    images, texts = (torch.tensor(random.normal(size=(count, 8)), dtype=torch.float32) for count in (20, 60))
    assert retrieval.recalls(images, texts, owner) == pytest.approx(brute(images, texts, owner))


def test_perfect_features_are_found_first():
    features = torch.eye(12)
    assert set(retrieval.recalls(features, features, np.arange(12)).values()) == {1.0}


@pytest.mark.slow
def test_100000_by_100000_in_4_gib():
    """Peak resident memory of a process of its own, everything it imports included."""
    program = (
        "import resource, torch, numpy as np\n"
        "from clip_scaling.evaluate.retrieval import recalls\n"
        "torch.manual_seed(0)\n"
        "images = torch.nn.functional.normalize(torch.randn(100_000, 32), dim=1)\n"
        "texts = torch.nn.functional.normalize(images + 0.1 * torch.randn(100_000, 32), dim=1)\n"
        "found = recalls(images, texts, np.arange(100_000))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, found['text_retrieval_recall@1'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=900, check=True)
    kilobytes, recall = ended.stdout.split()
    assert int(kilobytes) < 4 << 20
    assert float(recall) > 0.9

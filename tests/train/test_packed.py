"""Shards that are not those of their manifest: noticed before anything is trained on them."""

from pathlib import Path

import numpy as np
import pytest

from clip_scaling.core import paths
from clip_scaling.core.errors import UserError
from clip_scaling.subset.reader import ShardReader
from clip_scaling.train.packed import packed


def flipped_bit(content: bytes) -> bytes:
    """One bit of a caption: the tar stays whole, and every image."""
    place = content.index(b"00003.txt") + 512
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1:]


DAMAGE = {
    "truncated": lambda content: content[: len(content) // 2],
    "cut between pairs": lambda content: content[: 3 * 1024] + bytes(1024),
    "flipped bit": flipped_bit,
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "longer": lambda content: content + bytes(512),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_noticed_and_training_goes_on_once_it_is_back(spec, damage):
    path = Path(spec.shards[1].path)
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    with pytest.raises(UserError, match="other sha256.*run `clip-scaling subset` again") as raised:
        packed(spec)
    assert path.name in raised.value.sentence
    assert not list((paths.cache() / "packed").glob(f"{spec.shards[1].sha256}*.npy"))
    path.write_bytes(whole)
    data = packed(spec)
    assert len(data) == spec.unique_samples
    np.testing.assert_array_equal(data.images[1][0], next(iter(ShardReader([path]))).image)


def test_a_swapped_shard_is_noticed(spec):
    first, second = (Path(shard.path) for shard in spec.shards[:2])
    second.write_bytes(first.read_bytes())
    with pytest.raises(UserError, match="other sha256"):
        packed(spec)


def test_the_command_says_so_and_publishes_nothing(project, spec, clip_scaling):
    Path(spec.shards[0].path).write_bytes(b"")
    done = clip_scaling("train", "--study", project / "studies/tiny.yaml", "--workers", 1)
    assert done.code == 2
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("clip-scaling train: ") and "is not the shard of its manifest" in last
    assert "Traceback" not in done.err
    assert not list((project / "runs").glob("*/*/record.json"))

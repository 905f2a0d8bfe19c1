import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_scaling.train.loader import Prefetcher
from clip_scaling.train.order import Batches, indices, shifted, shifts
from clip_scaling.train.packed import packed


@given(seed=st.integers(0, 2**31), samples=st.integers(1, 60), batch=st.integers(1, 70), epochs=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_every_epoch_sees_every_sample_once(seed, samples, batch, epochs):
    steps = -(-samples * epochs // batch)
    seen = np.concatenate([indices(seed, step, batch, samples) for step in range(steps)])
    assert len(seen) == steps * batch
    for epoch in range(epochs):
        part = seen[epoch * samples:(epoch + 1) * samples]
        assert np.array_equal(np.sort(part), np.arange(samples))


def test_order_depends_on_seed_and_epoch():
    first = indices(0, 0, 50, 50)
    assert not np.array_equal(first, indices(1, 0, 50, 50))
    assert not np.array_equal(first, indices(0, 1, 50, 50))
    assert np.array_equal(first, indices(0, 0, 50, 50))


@given(seed=st.integers(0, 1000), reach=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_shift_moves_and_repeats_the_border(seed, reach):
    images = np.random.default_rng(seed).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    down, right = shifts(seed, 0, 5, reach)
    assert down.min() >= 0 and right.max() <= 2 * reach
    moved = shifted(images, down, right, reach)
    for number in range(5):
        rows = np.clip(np.arange(8) + down[number] - reach, 0, 7)
        columns = np.clip(np.arange(8) + right[number] - reach, 0, 7)
        assert np.array_equal(moved[number], images[number][rows][:, columns])


def test_workers_change_no_batch(project, spec):
    batches = Batches(packed(spec), seed=3, batch_size=32, shift=2)
    alone = [batches(step) for step in range(12)]
    for workers in (0, 1, 2):
        with Prefetcher(batches, range(12), workers) as prefetched:
            for one, other in zip(alone, prefetched, strict=True):
                assert np.array_equal(one.images, other.images) and np.array_equal(one.tokens, other.tokens)


def test_batches_hold_the_end_of_every_caption(project, spec):
    data = packed(spec)
    tokens = np.concatenate(data.tokens)
    end = tokens.max()
    for step in range(9):
        batch = Batches(data, seed=0, batch_size=32, shift=0)(step)
        assert (batch.tokens == end).any(axis=1).all()
        chosen = indices(0, step, 32, 288)
        assert np.array_equal(batch.images, np.concatenate(data.images)[chosen])
        assert np.array_equal(batch.tokens, tokens[chosen][:, :batch.tokens.shape[1]])

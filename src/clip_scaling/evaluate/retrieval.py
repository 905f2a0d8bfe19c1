"""Image and text retrieval: recall at 1, 5, 10 in blocks, so that memory grows with the block.

A query counts as answered where any of its matches stands among the first k candidates. Candidates of equal score
stand in the order of the set; where there are none, numbers equal CLIP_benchmark's.
"""

import numpy as np

DEPTHS = (1, 5, 10)
BLOCK = 1 << 24  # scores held at a time: 64 MiB


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
                found[f"{name}_retrieval_recall@{depth}"] = (rank < depth).double().mean().item()
    return found


def ranks(queries, candidates, query_of_pair, candidate_of_pair):
    """Rank (0 is first) of the best match of each query, long [Q].

    A pair (query_of_pair[i], candidate_of_pair[i]) is a match; pairs are sorted by query, each query has one or more.
    """
    import torch

    rows = max(1, BLOCK // len(candidates))
    found = []
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        first, last = torch.searchsorted(query_of_pair, torch.tensor([start, start + len(block)])).tolist()
        row, column = query_of_pair[first:last] - start, candidate_of_pair[first:last]
        found.append(_block_ranks(block @ candidates.T, row, column))
    return torch.cat(found)


def _block_ranks(scores, row, column):
    import torch

    matched = scores[row, column]
    best = torch.full((len(scores),), -torch.inf).scatter_reduce_(0, row, matched, "amax")
    above = (scores > best[:, None]).sum(dim=1)
    equal = (scores >= best[:, None]).sum(dim=1) - above
    tied = torch.nonzero(equal > 1)[:, 0]
    if len(tied):
        leading = torch.where(matched == best[row], column, scores.shape[1])
        first = torch.full((len(scores),), scores.shape[1]).scatter_reduce_(0, row, leading, "amin")
        before = torch.arange(scores.shape[1]) < first[tied, None]
        above[tied] += ((scores[tied] == best[tied, None]) & before).sum(dim=1)
    return above

"""Near-duplicates between evaluation and training images."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

# As measured when the sets were chosen: pairs at or above are the same drawing to the eye, redrawn or scaled.
THRESHOLD = 0.98
_BLOCK = 8192


def unit(ink: np.ndarray) -> np.ndarray:
    """uint8 [N, D] -> float32 [N, D], rows of length 1."""
    vectors = ink.astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def nearest(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Largest cosine of each query with any reference: uint8 [Q, D], [R, D] -> float32 [Q]; -1 without references.

    In blocks of references, so that memory stays small; one block a core at a time.
    """
    if not len(queries) or not len(references):
        return np.full(len(queries), -1, dtype=np.float32)
    left = unit(queries)

    def best(start: int) -> np.ndarray:
        return (left @ unit(references[start : start + _BLOCK]).T).max(axis=1)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # matrix products release the interpreter
        found = np.full(len(queries), -1, dtype=np.float32)
        for part in pool.map(best, range(0, len(references), _BLOCK)):
            np.maximum(found, part, out=found)
    return found

"""Batches made ahead of need by a few threads, in order; with none, made when asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

_AHEAD = 2  # batches in the making, a thread


class Prefetcher:
    """Iterate over `make(step)` for each of `steps`; as `make` depends on the step alone, `workers` changes no batch."""

    def __init__(self, make: Callable[[int], object], steps: Iterable[int], workers: int):
        self._make, self._steps, self._workers = make, iter(steps), workers
        self._executor = ThreadPoolExecutor(workers) if workers else None

    def __enter__(self) -> Iterator:
        return self._ahead() if self._executor else map(self._make, self._steps)

    def __exit__(self, *_) -> None:
        if self._executor:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _ahead(self) -> Iterator:
        waiting = deque()
        for step in self._steps:
            waiting.append(self._executor.submit(self._make, step))
            if len(waiting) > _AHEAD * self._workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

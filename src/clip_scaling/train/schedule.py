"""Runs side by side: longest first, one bar for all, and an end in which no child stays behind."""

import contextlib
import math
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from tqdm import tqdm

from ..core.errors import UserError
from .compute import gmacs
from .spec import RunSpec
from .workers import Failure, Worker, messages


def cost(spec: RunSpec) -> float:
    """Compute of a run in GMAC: forward pass times samples seen."""
    return gmacs(spec.config) * spec.samples_seen


def train_all(specs: list[RunSpec], *, workers: int, deadline: float | None = None) -> bool:
    """Train `specs` on `workers` processes. Returns False where `deadline` (monotonic seconds) cut it short.

    A run whose loss left the finite numbers is told and recorded, and the others go on. Anything else that a worker
    cannot mend ends the command: UserError or OSError. Ctrl-C and SIGTERM let each worker save, and raise KeyboardInterrupt.
    """
    waiting = longest_first(specs)
    pool = [Worker() for _ in range(min(workers, len(waiting)))]
    board = Board(waiting)
    try:
        for worker in pool:
            worker.start(waiting.popleft())
        with stop_asked() as stop:
            return _supervise(pool, waiting, board, deadline, stop)
    except BaseException:
        for worker in pool:
            worker.ask_to_stop()  # each still writes a checkpoint
        raise
    finally:
        board.close()
        _wind_down(pool)


def longest_first(specs: list[RunSpec]) -> deque[RunSpec]:
    """Runs with the most compute first, each content once: two runs of one specification share their result."""
    unique = {spec.digest: spec for spec in specs}
    return deque(sorted(unique.values(), key=lambda spec: (-cost(spec), spec.run)))


@contextlib.contextmanager
def stop_asked() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, instead of ending work in its middle; a second Ctrl-C does end it.

    An exception may also be raised where Python ignores it, as while it frees an object.
    """
    asked, before = threading.Event(), {}

    def ask(number, frame) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():  # Python lets no other thread set handlers
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _supervise(pool: list[Worker], waiting: deque, board: "Board", deadline: float | None, stop: threading.Event) -> bool:
    while any(worker.spec for worker in pool):
        if stop.is_set():
            raise KeyboardInterrupt
        if deadline is not None and time.monotonic() > deadline:
            deadline = None
            waiting.clear()
            board.cut_short = True
            for worker in pool:
                worker.ask_to_stop()
        for worker, message in messages(pool, timeout=0.5):
            if isinstance(message, Failure):
                _raise(message)
            if not board.hear(worker.spec, message):
                continue
            worker.spec = None
            if waiting:
                worker.start(waiting.popleft())
    return not board.cut_short


def _raise(failure: Failure) -> None:
    if failure.os_error:
        raise OSError(*failure.os_error)
    raise UserError(failure.sentence)


def _wind_down(pool: list[Worker]) -> None:
    """Wait a little for last checkpoints, then close."""
    patience = time.monotonic() + 5
    while any(worker.spec for worker in pool) and time.monotonic() < patience:
        for worker, message in messages(pool, timeout=0.1):
            if isinstance(message, Failure) or hasattr(message, "status"):
                worker.spec = None
    for worker in pool:
        worker.close()


class Board:
    """One bar over all runs, in GMAC, with the latest loss, throughput and (`performance`) what more the device says."""

    def __init__(self, specs, performance: Callable[[float], str] = lambda gmacs_per_second: ""):
        self.cut_short = False
        self._gmacs = {spec.run: gmacs(spec.config) for spec in specs}
        self._samples: dict[str, int] = {}
        self._seen = self._computed = 0.0
        self._begun, self._spent, self._performance = None, None, performance
        # A little room: the parts may add up to more in the last digit, at which tqdm warns.
        self._bar = tqdm(
            total=sum(cost(spec) for spec in specs) * (1 + 1e-9), desc=f"train {len(specs)} runs", unit="GMAC",
            file=sys.stderr, dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}",
        )

    def hear(self, spec: RunSpec, message) -> bool:
        """Show a message; True where it is the last of its run."""
        self._begun = self._begun or time.monotonic()
        if spec.run in self._samples:
            self._count(spec, message.samples - self._samples[spec.run])
        else:  # where it begins, or goes on from a checkpoint: no throughput
            self._bar.initial += message.samples * self._gmacs[spec.run]
            self._bar.n += message.samples * self._gmacs[spec.run]
        self._samples[spec.run] = message.samples
        if hasattr(message, "loss"):
            self._bar.set_postfix_str(f"{spec.run} loss {_shown(message.loss)}, {self.speed()}", refresh=False)
            self._bar.update(0)
            return False
        if message.message:
            tqdm.write(f"clip-scaling train: {message.message}", file=sys.stderr)
        return True

    def spent(self, seconds: float) -> None:
        """Count these seconds alone as training: a device is loaded in between. Without it, all since the first word."""
        self._spent = (self._spent or 0.0) + seconds

    def speed(self) -> str:
        """Throughput so far, in words."""
        if not self._seen:
            return "- samples/s"
        seconds = max(1e-9, time.monotonic() - self._begun if self._spent is None else self._spent)
        return f"{self._seen / seconds:,.0f} samples/s{self._performance(self._computed / seconds)}"

    def _count(self, spec: RunSpec, samples: int) -> None:
        self._seen += samples
        self._computed += samples * self._gmacs[spec.run]
        self._bar.update(samples * self._gmacs[spec.run])

    def close(self) -> None:
        self._bar.close()


def _shown(loss: float) -> str:
    return "-" if math.isnan(loss) else f"{loss:.3f}"

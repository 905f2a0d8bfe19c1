"""Persistent single-threaded processes that train one run after another, and end with their parent."""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from ..core.errors import UserError
from .spec import RunSpec


@dataclass(frozen=True)
class Failure:
    """An error in a worker that is no failed run: `sentence` for the user, `details` for a log, `os_error` if one."""

    sentence: str
    details: str = ""
    os_error: tuple | None = None


class Worker:
    """A child process and the pipe to it. It imports torch and open_clip once, whatever the number of runs."""

    def __init__(self, loader_workers: int = 0):
        context = multiprocessing.get_context("spawn")
        self.pipe, child_pipe = context.Pipe()
        self.spec: RunSpec | None = None
        with _one_thread_a_process():
            self._process = context.Process(target=_serve, args=(child_pipe, loader_workers), daemon=True)
            self._process.start()
        child_pipe.close()

    def start(self, spec: RunSpec) -> None:
        self.spec = spec
        self.pipe.send(spec)

    def ask_to_stop(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send("stop")

    def close(self, patience: float = 10.0) -> None:
        """Close the pipe, on which an idle worker ends; one still busy after `patience` seconds is killed."""
        self.pipe.close()
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def messages(workers: list[Worker], timeout: float) -> Iterator[tuple[Worker, object]]:
    """What busy workers have to say: Progress, Outcome or Failure; a worker that died says Failure."""
    ready = wait([worker.pipe for worker in workers if worker.spec], timeout)
    for worker in workers:
        if worker.pipe in ready:
            try:
                yield worker, worker.pipe.recv()
            except (EOFError, OSError):
                yield worker, Failure(
                    f"run {worker.spec.run}: its process died; free some memory and run the same command again"
                )


@contextlib.contextmanager
def _one_thread_a_process() -> Iterator[None]:
    """Two processes with two threads each on two cores spin on each other's barriers: one thread each is faster."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _serve(pipe: Connection, loader_workers: int) -> None:
    """A worker's life: take specifications from the pipe, train, say how it goes; end when the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    inbox = _Inbox(pipe)
    from .engine import train

    while (spec := inbox.next()) is not None:
        try:
            pipe.send(train(spec, workers=loader_workers, report=pipe.send, stop=inbox.stop.is_set))
        except UserError as error:
            pipe.send(Failure(error.sentence, traceback.format_exc()))
        except OSError as error:
            about = (error.errno, error.strerror or str(error), error.filename)
            pipe.send(Failure(f"run {spec.run}: {error}", traceback.format_exc(), about))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
            pipe.send(Failure(f"run {spec.run}: {type(error).__name__}: {error}", traceback.format_exc()))


class _Inbox:
    """Reads the pipe in a thread of its own, so that a stop is heard in the middle of a run and an orphan ends."""

    def __init__(self, pipe: Connection):
        self.stop = threading.Event()
        self._pipe, self._specs, self._arrived = pipe, [], threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> RunSpec:
        with self._arrived:
            self._arrived.wait_for(lambda: self._specs)
            return self._specs.pop(0)

    def _listen(self) -> None:
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # the parent is gone, or wants no more; checkpoints are on disk
            if message == "stop":
                self.stop.set()
                continue
            with self._arrived:
                self._specs.append(message)
                self._arrived.notify()

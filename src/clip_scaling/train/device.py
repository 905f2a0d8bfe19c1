"""Several runs on one device, in one process: longest first, a checkpoint now and then, one bar for all.

Rounds: every run is given some steps, then all are waited for. Only between rounds does anybody look at the clock, at
Ctrl-C, or at a weight: there what the host knows of a run and what the device has done of it agree.
"""

import sys
import time
from dataclasses import dataclass, field

import torch

from ..core.errors import UserError
from .compute import gmacs
from .engine import CHECKPOINT_SECONDS, NonFiniteLoss, Outcome, Status
from .energy import EnergyMeter
from .finished import save_failed, save_finished
from .resident import ResidentPool, ResidentSession
from .schedule import Board, longest_first, stop_asked
from .spec import RunSpec
from .throughput import peak_of, performance

_ROUND_SECONDS = 1.0
_FIRST_STEPS, _MOST_STEPS = 10, 100  # of a run in a round


def pick_device(name: str | None, precision: str) -> str:
    """`--device` as `cpu`, `cuda` or `cuda:N`; by default the GPU for bf16 and the CPU for fp32. Raises UserError."""
    wanted = name or ("cpu" if precision == "fp32" else "cuda")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {wanted} is none that this engine trains on", mend="give cpu, cuda or cuda:N")
    if device.type == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        without = torch.version.cuda is None and torch.version.hip is None
        what = "this torch is built for the CPU alone (torch.version.cuda is None)" if without else "torch finds no GPU"
        mend = "install a build of torch with CUDA" if without else "mend its driver (`nvidia-smi` says what it sees)"
        raise UserError(f"no GPU that torch can use: {what}", mend=f"{mend}, or give --device cpu and much more time")
    if device.index is not None and device.index >= torch.cuda.device_count():
        what = f"--device {wanted}: GPUs here are numbered from 0 to {torch.cuda.device_count() - 1}"
        raise UserError(what, mend="give one of them")
    return str(device)


@dataclass
class Shared:
    """What runs on a device share: its data, where they stand, how long a step of all takes, when they were saved."""

    pool: ResidentPool
    board: Board
    meter: EnergyMeter
    options: dict
    active: list[ResidentSession] = field(default_factory=list)
    seconds_a_step: float | None = None
    energy_kwh: float | None = 0.0
    saved: float = field(default_factory=time.monotonic)


def train_all_on(
    device: str, specs: list[RunSpec], *, parallel: int = 4, deadline: float | None = None, compiled: bool = False,
    graph: bool = True, checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> bool:
    """Train `specs`, `parallel` at a time. False where `deadline` (monotonic seconds) cut it short, checkpoints saved.

    A run whose loss left the finite numbers is told and recorded, and the others go on. Ctrl-C and SIGTERM save, too,
    and raise KeyboardInterrupt. Raises UserError where the device's memory is too small.
    """
    waiting = longest_first(specs)
    options = {"compiled": compiled, "graph": graph}
    shared = Shared(ResidentPool(device), Board(waiting, performance(peak_of(device))), EnergyMeter(device), options)
    try:
        with stop_asked() as stop:
            return _rounds(shared, waiting, parallel, deadline, checkpoint_seconds, stop)
    except torch.OutOfMemoryError:
        mend = f"give --parallel less than {parallel}" if parallel > 1 else "take a smaller batch or a larger device"
        raise UserError(f"the device's memory is too small for {parallel} runs at a time",
                        mend=f"{mend}; what was saved goes on") from None
    finally:
        shared.board.close()
        used = shared.energy_kwh
        said = "not measured" if used is None else f"{used:.4f} kWh on the device, shared among the runs by compute"
        print(f"clip-scaling train: energy: {said}", file=sys.stderr)


def _rounds(shared: Shared, waiting, parallel: int, deadline: float | None, checkpoint_seconds: float, stop) -> bool:
    while waiting or shared.active:
        while waiting and len(shared.active) < parallel:
            _begin(shared, waiting.popleft())
        _round(shared, deadline)
        late = deadline is not None and time.monotonic() > deadline
        if late or stop.is_set() or time.monotonic() - shared.saved > checkpoint_seconds:
            _save_all(shared)
        if stop.is_set():
            raise KeyboardInterrupt
        if late and (waiting or shared.active):
            return False
    return True


def _begin(shared: Shared, spec: RunSpec) -> None:
    session = ResidentSession(spec, shared.pool, **shared.options)
    shared.active.append(session)
    shared.board.hear(spec, session.progress())


def _round(shared: Shared, deadline: float | None) -> None:
    """Steps of about a second for every run, or up to the deadline; time and energy are shared by compute."""
    steps = _FIRST_STEPS
    if shared.seconds_a_step:
        left = _ROUND_SECONDS if deadline is None else min(_ROUND_SECONDS, deadline - time.monotonic())
        steps = min(max(1, int(left / shared.seconds_a_step)), _MOST_STEPS)
    begun, before = time.perf_counter(), [session.step for session in shared.active]
    for session in shared.active:
        session.advance(steps)
    faults = [_fault(session) for session in shared.active]
    seconds = time.perf_counter() - begun
    done = [session.step - step for session, step in zip(shared.active, before)]
    shared.seconds_a_step = seconds / max(1, *done)
    shared.board.spent(seconds)
    _share(shared, done, seconds)
    for session, fault in zip(list(shared.active), faults):
        _look_at(shared, session, fault)


def _fault(session: ResidentSession) -> NonFiniteLoss | None:
    try:
        session.check()
    except NonFiniteLoss as error:
        return error
    return None


def _share(shared: Shared, steps: list[int], seconds: float) -> None:
    """Add to each run its part of a round's wall time and energy: runs side by side cannot be told apart else."""
    energy = shared.meter.take()
    shared.energy_kwh = plus(shared.energy_kwh, energy)
    work = [gmacs(session.spec.config) * session.spec.batch_size * done for session, done in zip(shared.active, steps)]
    for session, part in zip(shared.active, work):
        share = part / sum(work) if sum(work) else 1 / len(work)
        session.seconds += seconds * share
        session.energy_kwh = plus(session.energy_kwh, energy, share)


def plus(total: float | None, more: float | None, share: float = 1.0) -> float | None:
    """A sum of which a part was not measured is not measured either."""
    return None if total is None or more is None else total + more * share


def _look_at(shared: Shared, session: ResidentSession, fault: NonFiniteLoss | None) -> None:
    if fault:
        save_failed(session)
        _end(shared, session, Status.FAILED, str(fault))
        return
    shared.board.hear(session.spec, session.progress())
    if session.finished:
        save_finished(session)
        _end(shared, session, Status.FINISHED, "")


def _end(shared: Shared, session: ResidentSession, status: Status, message: str) -> None:
    shared.active.remove(session)
    outcome = Outcome(status, message, session.seconds, session.step * session.spec.batch_size)
    shared.board.hear(session.spec, outcome)


def _save_all(shared: Shared) -> None:
    for session in shared.active:
        session.save()
    shared.saved = time.monotonic()

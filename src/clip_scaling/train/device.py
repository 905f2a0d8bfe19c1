"""Several runs on one device, in one process: longest first, a checkpoint now and then, one bar for all."""

import sys
import time
from dataclasses import dataclass, field

import torch
from tqdm import tqdm

from ..core.errors import UserError
from .compute import gmacs
from .engine import CHECKPOINT_SECONDS, NonFiniteLoss, Outcome, Status
from .energy import EnergyMeter
from .finished import save_failed, save_finished
from .resident import ResidentPool, ResidentSession
from .schedule import Board, longest_first
from .spec import RunSpec

_STRIDE = 100  # steps asked for before anybody looks
# Dense bf16 peak in TFLOP/s, as the makers state it; the first name found in the device's counts.
PEAKS = {"H200": 989.0, "H100": 989.0, "A100": 312.0}


def pick_device(name: str | None, precision: str) -> str:
    """`--device`, or the GPU for a study in bf16 and the CPU for one in fp32. Raises UserError where there is none."""
    wanted = name or ("cpu" if precision == "fp32" else "cuda")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            "no GPU that torch can use", mend="run it on a machine with one, or give --device cpu and much more time"
        )
    return wanted


def peak_flops(device_name: str) -> float | None:
    """Peak in FLOP/s that the share of it is reckoned against; None for a device not in PEAKS."""
    return next((1e12 * peak for name, peak in PEAKS.items() if name in device_name), None)


@dataclass
class Shared:
    """What runs on a device share: its data, where they stand, and when they were last saved."""

    pool: ResidentPool
    board: Board
    compiled: bool = False
    active: list[ResidentSession] = field(default_factory=list)
    saved: float = field(default_factory=time.monotonic)


def train_all_on(
    device: str, specs: list[RunSpec], *, parallel: int = 4, deadline: float | None = None, compiled: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> bool:
    """Train `specs`, `parallel` at a time. False where `deadline` (monotonic seconds) cut it short, checkpoints saved.

    A run whose loss left the finite numbers is told and recorded, and the others go on. Ctrl-C saves, too.
    """
    waiting = longest_first(specs)
    shared = Shared(ResidentPool(device), Board(waiting, _performance(device)), compiled)
    meter = EnergyMeter(device)
    try:
        while waiting or shared.active:
            while waiting and len(shared.active) < parallel:
                _begin(shared, waiting.popleft())
            _advance_all(shared)
            late = deadline is not None and time.monotonic() > deadline
            if late or time.monotonic() - shared.saved > checkpoint_seconds:
                _save_all(shared)
            if late and (waiting or shared.active):
                return False
        return True
    except KeyboardInterrupt:
        _save_all(shared)
        raise
    finally:
        shared.board.close()
        if (energy := meter.kwh()) is not None:
            print(f"clip-scaling train: {energy:.4f} kWh measured on the device, all runs together", file=sys.stderr)


def _performance(device: str):
    """How the board words (GMAC forward per second): in TFLOP/s of training, and as a share of the device's peak."""
    peak = peak_flops(torch.cuda.get_device_name(device)) if device.startswith("cuda") else None

    def words(gmacs_per_second: float) -> str:
        flops = 6e9 * gmacs_per_second  # 2 a multiply-accumulate, backward twice forward (as the paper's GMAC count)
        return f", {flops / 1e12:.3g} TFLOP/s" + (f", MFU {100 * flops / peak:.2g} %" if peak else "")

    return words


def _begin(shared: Shared, spec: RunSpec) -> None:
    session = ResidentSession(spec, shared.pool, compiled=shared.compiled)
    shared.active.append(session)
    shared.board.hear(spec, session.progress())


def _advance_all(shared: Shared) -> None:
    for session in shared.active:
        session.advance(_STRIDE)
    for session in list(shared.active):
        try:
            session.check()
        except NonFiniteLoss as error:
            save_failed(session)
            _end(shared, session, Status.FAILED, str(error))
            continue
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


def measure_mfu(name: str, *, batch_size: int, steps: int, device: str) -> tuple[float, float | None]:
    """Samples per second of an architecture on synthetic full-size input, and the share of the device's peak.

    bf16, fused AdamW, open_clip's own forward pass with activation checkpointing off; data are made on the device.
    """
    from .models import architecture, build_model
    from .openclip import open_clip

    config = architecture(name)
    model, loss = build_model(config).to(device), open_clip.ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=True)
    forward = torch.compile(model) if device.startswith("cuda") else model
    size = config["vision_cfg"].get("image_size", 224)
    images = torch.randn(batch_size, 3, size, size, device=device)
    tokens = torch.randint(1, model.vocab_size, (batch_size, model.context_length), device=device)
    begun = 0.0
    for step in tqdm(range(-3, steps), desc=name, file=sys.stderr):
        if step == 0:
            _wait(device)
            begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.partition(":")[0], torch.bfloat16):
            image_features, text_features, scale = forward(images, tokens)[:3]
            value = loss(image_features, text_features, scale)
        value.backward()
        optimizer.step()
    _wait(device)
    speed = steps * batch_size / (time.perf_counter() - begun)
    peak = peak_flops(torch.cuda.get_device_name(device)) if device.startswith("cuda") else None
    return speed, 6e9 * gmacs(name) * speed / peak if peak else None


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)

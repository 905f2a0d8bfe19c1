"""What a run leaves behind: weights, a record that its specification determines, and the times that it does not."""

import datetime
import platform
import shutil
from pathlib import Path

import numpy as np

from ..core import paths
from ..core.errors import UserError
from ..core.files import write_json, write_text
from ..core.json_files import read_json
from .compute import gmacs
from .models import count_parameters, save_model
from .spec import RunSpec

_CURVE_POINTS = 200
_REMOVE = "remove its folder, and train again"
_SPIKE_WINDOW, _SPIKE_DEVIATIONS = 100, 6.0


def folder(spec: RunSpec) -> Path:
    """Where the finished run of a specification is kept."""
    return paths.cache() / "runs" / spec.digest


def is_finished(spec: RunSpec) -> bool:
    return (folder(spec) / "record.json").is_file()


def status(spec: RunSpec) -> str:
    """How a run that has a record ended, `finished` or `failed`. Raises UserError where the record does not say."""
    path = folder(spec) / "record.json"
    stated = _kept(path).get("status")
    if stated not in ("finished", "failed"):
        raise UserError("does not say how the run ended", where=path, mend=_REMOVE)
    return stated


def _kept(path: Path) -> dict:
    return read_json(path, kind=dict, mend=_REMOVE)


def save_finished(session) -> None:
    """Keep a finished session's model, record, times and loss curve; its checkpoints are no longer needed."""
    spec = session.spec
    save_model(session.model, session.config, Path(spec.tokenizer), folder(spec))
    _save_tables(session, "finished")
    shutil.rmtree(paths.cache() / "checkpoints" / spec.digest, ignore_errors=True)


def save_failed(session) -> None:
    """Keep the record of a session that failed; the last good checkpoint stays."""
    _save_tables(session, "failed")


def _save_tables(session, status: str) -> None:
    spec, target = session.spec, folder(session.spec)
    target.mkdir(parents=True, exist_ok=True)
    seen = session.step * spec.batch_size
    write_text(target / "loss.csv", _loss_curve(session.losses[:session.step], spec.batch_size))
    write_json(target / "timing.json", {
        "seconds": round(session.seconds, 3),
        "samples_per_second": round(seen / session.seconds, 1) if session.seconds else None,
        "device": session.device_name,
        "versions": versions(),
        "energy_kwh": session.energy_kwh,
        "loss_spikes": loss_spikes(session.losses[:session.step]),
        "finished_at": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    })
    # Last: a folder with a record is a finished run.
    write_json(target / "record.json", {
        "family": spec.family, "subset": spec.subset, "architecture": spec.architecture,
        "parameters": count_parameters(session.model), "gmacs_per_sample": gmacs(spec.config),
        "unique_samples": spec.unique_samples, "samples_seen": spec.samples_seen, "batch_size": spec.batch_size,
        "learning_rate": spec.learning_rate, "warmup_steps": spec.warmup_steps, "precision": spec.precision,
        "seed": spec.seed, "status": status, "source": "train",
    })


def publish(spec: RunSpec) -> Path:
    """Copy a finished run from the cache into runs/<study>/<run>, under this study's names."""
    source, target = folder(spec), paths.runs(spec.study) / spec.run
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.name not in ("record.json", "timing.json"):
            shutil.copyfile(path, target / path.name)
    names = {"study": spec.study, "run": spec.run}
    labels = {"family": spec.family, "subset": spec.subset, "architecture": spec.architecture}
    write_json(target / "timing.json", {**_kept(source / "timing.json"), **names})
    write_json(target / "record.json", {**_kept(source / "record.json"), **labels, **names})
    return target


def loss_spikes(losses: np.ndarray) -> int:
    """Steps whose loss exceeds the mean of the 100 steps before it by more than 6 of their standard deviations."""
    if len(losses) <= _SPIKE_WINDOW:
        return 0
    windows = np.lib.stride_tricks.sliding_window_view(losses.astype(float), _SPIKE_WINDOW)[:-1]
    limits = windows.mean(axis=1) + _SPIKE_DEVIATIONS * windows.std(axis=1)
    return int((losses[_SPIKE_WINDOW:] > limits).sum())


def _loss_curve(losses: np.ndarray, batch_size: int) -> str:
    """CSV of the mean loss over equal stretches of training: samples_seen (end of the stretch), loss."""
    lines = ["samples_seen,loss"]
    for part in np.array_split(np.arange(len(losses)), min(_CURVE_POINTS, len(losses)) or 1):
        if len(part):
            lines.append(f"{(part[-1] + 1) * batch_size},{losses[part].mean():.5f}")
    return "\n".join(lines) + "\n"


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> str:
    import torch

    from .openclip import open_clip

    return f"python {platform.python_version()}, torch {torch.__version__}, open_clip {open_clip.__version__}"

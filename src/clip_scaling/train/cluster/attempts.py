"""A run's diary: when each attempt began and when it wrote which checkpoint, one JSON object a line."""

import datetime
import json
import time
from dataclasses import dataclass
from pathlib import Path

from ...core.json_files import parse_json
from ..finished import processor, versions


class Attempts:
    """Writes the diary, a line at a time, so that a killed attempt leaves whole lines."""

    def __init__(self, path: Path):
        self._path, self._began = Path(path), time.monotonic()

    def begin(self) -> None:
        self._write({"event": "begin", "device": _device(), "versions": versions()})

    def note_checkpoint(self, epoch: int) -> None:
        self._write({"event": "checkpoint", "epoch": epoch, "seconds": round(time.monotonic() - self._began, 3)})

    def _write(self, line: dict) -> None:
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        append_line(self._path, {"time": now, **line})


def append_line(path: Path, line: dict) -> None:
    """Append a JSON object as a line of its own, in one write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")


@dataclass(frozen=True)
class Diary:
    """What an attempts file says: attempts, the last epoch kept, and the seconds from each start to its last save."""

    attempts: int
    epoch: int
    seconds: float
    device: str
    versions: str
    finished_at: str | None


def read_diary(path: Path) -> Diary:
    """Read a diary; one that is not there yet is empty."""
    lines = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []
    events = [parse_json(line, where=path, kind=dict, mend="remove that line") for line in lines]
    begun = [event for event in events if event["event"] == "begin"]
    saved = [event for event in events if event["event"] == "checkpoint"]
    seconds, running = 0.0, 0.0
    for event in events:
        if event["event"] == "begin":
            seconds, running = seconds + running, 0.0
        else:
            running = event["seconds"]
    last = begun[-1] if begun else {}
    return Diary(
        attempts=len(begun), epoch=max((event["epoch"] for event in saved), default=0), seconds=seconds + running,
        device=last.get("device", ""), versions=last.get("versions", ""),
        finished_at=saved[-1]["time"] if saved else None,
    )


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else processor()

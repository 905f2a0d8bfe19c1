"""A copy of the project in which a study can be reproduced without touching the one under test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

STAGES = ("published", "claims", "prepare", "subset", "train", "evaluate", "collect", "fit@published", "fit@study",
          "verify@published", "verify@study", "figure@published", "figure@study", "book")  # in an order in which DVC may run them


def copy_project(root: Path, folder: Path) -> Path:
    """Copy what git tracks or would track (no outs, no caches) and make a repository of it."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """The copy's own source and caches; nothing of the project under test but its installed packages."""
    return {**os.environ, "CLIP_SCALING_ROOT": str(folder), "CLIP_SCALING_CACHE": str(folder / ".cache"),
            "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def repro(folder: Path, *words: str, timeout: float = 600) -> subprocess.CompletedProcess:
    """`clip-scaling repro --study smoke` in the copy."""
    return subprocess.run(command(*words), cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=timeout)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "clip_scaling.cli", "repro", "--study", "smoke", *words]


def tables(folder: Path) -> dict[str, bytes]:
    """What a reproduction is for: the committed tables, timings and the machine's own record apart."""
    kept = (folder / "results" / "smoke").glob("*.csv")
    return {path.name: path.read_bytes() for path in kept if path.name != "timings.csv"}

"""Shared by all tests: the project's root, and a command line that returns code, output and error text."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def clip_scaling(capsys):
    """Call the command line in this process; returns code, out, err."""
    from clip_scaling.cli import main

    def call(*words: object) -> SimpleNamespace:
        try:
            code = main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return call


@pytest.fixture
def clip_scaling_process():
    """Call the command line in a process of its own, as a user does."""

    def call(*words: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "clip_scaling.cli", *map(str, words)],
            cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
        )

    return call

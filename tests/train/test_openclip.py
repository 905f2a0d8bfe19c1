"""The torchvision guard: silent where torchvision is whole, exact where an operator is missing."""

import subprocess
import sys

import pytest

from clip_scaling.train import openclip


def test_guard_is_harmless_the_second_time():
    assert openclip.import_torchvision() == []


def test_guard_declares_only_what_is_missing(monkeypatch):
    missing, declared = ["made_up_one", "made_up_two"], []

    def stumbling_import(name):
        if missing:
            raise RuntimeError(f"operator torchvision::{missing[0]} does not exist")

    def declare(operator):
        declared.append(operator)
        missing.remove(operator)

    monkeypatch.setattr(openclip.importlib, "import_module", stumbling_import)
    monkeypatch.setattr(openclip, "_declare", declare)
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "torchvision"}
    try:
        assert openclip.import_torchvision() == ["made_up_one", "made_up_two"] == declared
    finally:
        sys.modules.update(kept)


def test_another_error_is_passed_on(monkeypatch):
    def broken_import(name):
        raise RuntimeError("something else")

    monkeypatch.setattr(openclip.importlib, "import_module", broken_import)
    with pytest.raises(RuntimeError, match="something else"):
        openclip.import_torchvision()


def test_package_and_command_line_import_no_torch():
    code = "import clip_scaling.cli, clip_scaling.train, clip_scaling.train.command, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

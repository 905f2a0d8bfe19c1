"""The command line: help at once, one sentence for bad input, exit code 2."""

import re
import subprocess
import sys

import pytest

from clip_scaling.cli import COMMANDS


def test_help_lists_every_command_without_heavy_imports():
    code = (
        "import sys; from clip_scaling.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'scipy', 'altair', 'numpy', 'open_clip'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\s", done.stdout, re.M), command


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command, clip_scaling):
    done = clip_scaling(command, "--help")
    assert done.code == 0 and "usage:" in done.out


@pytest.mark.parametrize("command", ["prepare", "subset", "train", "evaluate", "collect", "fit", "figure", "repro"])
def test_unknown_study_is_one_sentence(command, clip_scaling):
    done = clip_scaling(command, "--study", "nope")
    assert done.code == 2
    assert done.err.count("\n") == 1 and "unknown study 'nope'" in done.err and "Traceback" not in done.err

"""The command line: help at once, one sentence for bad input, exit code 2."""

import os
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


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["compute", "--help"], ["dag"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])  # unbuffered, argparse itself passes over it and ends with 0
def test_a_reader_that_has_gone_is_no_traceback(words, unbuffered, root):
    """As `| head -1`, but sure to have gone before the first byte."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([sys.executable, "-m", "clip_scaling.cli", *words], cwd=root, env=environment, stdout=writing,
                          stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.stderr == "" and done.returncode in (0, 141) and (unbuffered or done.returncode == 141)


def test_another_broken_pipe_is_a_sentence(clip_scaling, monkeypatch):
    def broken(args):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("clip_scaling.dag.run", broken)
    done = clip_scaling("dag")
    assert done.code == 2 and done.err == "clip-scaling dag: Broken pipe; mend that and run the same command again\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_a_sentence(root):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "clip_scaling.cli", "dag"], cwd=root, stdout=full, stderr=subprocess.PIPE,
                              text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "No space left" in done.stderr

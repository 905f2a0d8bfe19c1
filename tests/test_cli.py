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


@pytest.mark.parametrize(("words", "said"), [
    (["plan", "--target", "imagenet1k", "--budget", "abc"],
     "clip-scaling plan: argument --budget: invalid float value: 'abc'; see clip-scaling plan --help"),
    (["fit", "F.csv", "--holdout", "abc"],
     "clip-scaling fit: argument --holdout: invalid float value: 'abc'; see clip-scaling fit --help"),
    (["verify", "--nope", "1"], "clip-scaling verify: unrecognized arguments: --nope 1; see clip-scaling verify --help"),
    (["dag", "a\nb"], "clip-scaling dag: unrecognized arguments: a b; see clip-scaling dag --help"),
    (["dag", "\x1b[31m"], "clip-scaling dag: unrecognized arguments: ?[31m; see clip-scaling dag --help"),
    (["plan"], "clip-scaling plan: the following arguments are required: --target; see clip-scaling plan --help"),
    (["plan", "--target"], "clip-scaling plan: argument --target: expected one argument; see clip-scaling plan --help"),
    (["travel"], "clip-scaling travel: the following arguments are required: VERB; see clip-scaling travel --help"),
    ([], "clip-scaling: the following arguments are required: COMMAND; see clip-scaling --help"),
    (["--nope", "dag"], "clip-scaling dag: unrecognized arguments: --nope; see clip-scaling dag --help"),
])
def test_a_fault_of_the_command_line_is_one_sentence(words, said, clip_scaling):
    done = clip_scaling(*words)
    assert (done.code, done.out, done.err) == (2, "", said + "\n")


@pytest.mark.parametrize(("words", "help_of"), [(["nope"], "clip-scaling"), (["travel", "nope"], "clip-scaling travel")])
def test_an_unknown_command_names_the_known_ones(words, help_of, clip_scaling):
    done = clip_scaling(*words)
    assert done.code == 2 and done.err.count("\n") == 1 and "usage" not in done.err
    assert "invalid choice: 'nope' (choose from" in done.err and done.err.endswith(f"; see {help_of} --help\n")


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

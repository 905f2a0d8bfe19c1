"""No duration rests on the wall clock, which may jump back."""

import ast

WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
# Stamps for people to read: when a run, an attempt or a benchmark finished.
STAMPS = {"bench.py", "train/finished.py", "train/cluster/attempts.py"}


def test_the_wall_clock_is_only_for_stamps(root):
    source, found = root / "src" / "clip_scaling", set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and (getattr(node.value, "id", getattr(node.value, "attr", "")), node.attr) in WALL:
                found.add(path.relative_to(source).as_posix())
    assert found == STAMPS

"""The pipeline as a graph: read from dvc.yaml, drawn as Mermaid (README) and SVG (book)."""

from html import escape
from pathlib import Path

import yaml

from .core import paths
from .core.errors import UserError
from .core.files import write_text

_BEGIN, _END = "<!-- dag: written by `clip-scaling dag --write` -->", "<!-- end of dag -->"
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 160, 40, 24, 30


def add_arguments(parser) -> None:
    parser.add_argument("--write", action="store_true", help="write the diagram into README.md and the book")


def run(args) -> int:
    stages = read_stages(paths.project_root() / "dvc.yaml")
    if not args.write:
        print(mermaid(stages))
        return 0
    readme = paths.project_root() / "README.md"
    write_text(readme, with_diagram(readme.read_text(encoding="utf-8"), mermaid(stages)))
    write_text(paths.book() / "chapters" / "_static" / "dag.svg", svg(stages))
    return 0


def read_stages(path: Path) -> dict[str, dict]:
    """Stages of a dvc.yaml: name -> {desc, deps, outs}; a stage of two tracks (foreach) stands once a track.

    The study is written `<study>`. Parameters are left out: they are leaves, no edges.
    """
    stages = {}
    for name, body in yaml.safe_load(path.read_text(encoding="utf-8"))["stages"].items():
        for key, item in body.get("foreach", {None: {}}).items():
            stage = body.get("do", body)
            label = name if key is None else f"{name}@{'<study>' if key == 'study' else key}"
            stages[label] = {
                "desc": stage.get("desc", ""),
                "deps": [_plain(dep, item) for dep in stage.get("deps", [])],
                "outs": [_plain(next(iter(out)) if isinstance(out, dict) else out, item) for out in stage.get("outs", [])],
            }
    return stages


def _plain(text: str, item: dict[str, str]) -> str:
    for field, value in item.items():
        text = text.replace(f"${{item.{field}}}", value)
    return text.replace("${study_file}", "studies/<study>.yaml").replace("${study}", "<study>")


def tracked(path: Path) -> dict[str, list[str]]:
    """Fields of the study file that each stage of a dvc.yaml depends on; none for stages that read no study file."""
    stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    listed = {name: body.get("do", body).get("params", []) for name, body in stages.items()}
    return {name: [field for entry in params for fields in entry.values() for field in fields] for name, params in listed.items()}


def edges(stages: dict[str, dict]) -> list[tuple[str, str]]:
    """(from, to) where an out of the first lies in, or holds, a dependency of the second."""
    def touches(out: str, dep: str) -> bool:
        return out == dep or out.startswith(dep + "/") or dep.startswith(out + "/")

    return [
        (source, target)
        for target, wanted in stages.items()
        for source, made in stages.items()
        if source != target and any(touches(out, dep) for out in made["outs"] for dep in wanted["deps"])
    ]


def mermaid(stages: dict[str, dict]) -> str:
    """Mermaid text of the graph."""
    ids = {name: f"s{number}" for number, name in enumerate(stages)}
    nodes = [f'  {ids[name]}["{escape(name)}"]' for name in stages]
    arrows = [f"  {ids[a]} --> {ids[b]}" for a, b in edges(stages)]
    return "\n".join(["```mermaid", "flowchart LR", *nodes, *arrows, "```"])


def with_diagram(text: str, diagram: str) -> str:
    """`text` with the part between the two marks replaced. Raises UserError where the marks are missing."""
    if _BEGIN not in text or _END not in text:
        raise UserError("has no place for the diagram", where="README.md", mend=f"add the lines {_BEGIN} and {_END}")
    head, tail = text.split(_BEGIN)[0], text.split(_END)[1]
    return f"{head}{_BEGIN}\n{diagram}\n{_END}{tail}"


def layers(stages: dict[str, dict]) -> dict[str, int]:
    """Longest path from a source to each stage. Raises UserError on a circle."""
    depth = dict.fromkeys(stages, 0)
    pairs = edges(stages)
    for _ in stages:
        moved = False
        for source, target in pairs:
            if depth[target] <= depth[source]:
                depth[target], moved = depth[source] + 1, True
        if not moved:
            return depth
    raise UserError("the stages form a circle", where="dvc.yaml", mend="remove one dependency of it")


def direct(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs without those that follow from others: a -> c where a -> b -> c."""
    after = {source: {end for start, end in pairs if start == source} for source, _ in pairs}

    def reached(name: str) -> set[str]:
        return set().union(*({end} | reached(end) for end in after.get(name, ())))

    return [(a, c) for a, c in pairs if not any(c in reached(b) for b in after[a])]


def columns(stages: dict[str, dict]) -> dict[str, int]:
    """A column for each stage: the longest chain of needs stands in the first, the longest of the rest in the next."""
    pairs, column = direct(edges(stages)), {}
    while left := [name for name in stages if name not in column]:
        chain = max((_chain(name, pairs, set(left)) for name in left), key=len)
        column |= dict.fromkeys(chain, max(column.values(), default=-1) + 1)
    return column


def _chain(name: str, pairs: list[tuple[str, str]], among: set[str]) -> list[str]:
    """The longest path from `name` within `among`."""
    tails = [_chain(end, pairs, among) for start, end in pairs if start == name and end in among]
    return [name, *max(tails, key=len, default=[])]


def svg(stages: dict[str, dict]) -> str:
    """A picture of the graph from top to bottom, a row a layer; narrow, so that a phone shows it legibly.

    Only direct needs are drawn. The colours suit a light and a dark page.
    """
    depth, column = layers(stages), columns(stages)
    place = {name: (10 + column[name] * (_WIDTH + _GAP_X), 10 + depth[name] * (_HEIGHT + _GAP_Y)) for name in stages}
    width = 20 + (max(column.values()) + 1) * (_WIDTH + _GAP_X) - _GAP_X
    height = 20 + (max(depth.values()) + 1) * (_HEIGHT + _GAP_Y) - _GAP_Y
    body = [_arrow(place[a], place[b]) for a, b in direct(edges(stages))]
    body += [_box(name, stage["desc"], *place[name]) for name, stage in stages.items()]
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-label="Stages of the pipeline and what each needs" font-family="sans-serif" font-size="16">'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 L8 4 L0 8 z" fill="#7289ab"/></marker></defs>')
    return "\n".join([head, *body, "</svg>"]) + "\n"


def _box(name: str, desc: str, x: int, y: int) -> str:
    return (f'<g><title>{escape(desc)}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
            f'fill="#eef3fb" stroke="#4a6fa5"/><text x="{x + _WIDTH / 2}" y="{y + _HEIGHT / 2 + 5}" '
            f'text-anchor="middle" fill="#1c2b40">{escape(name)}</text></g>')


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Down the start's own column, where no box is in the way, and across in the gap above the end."""
    x0, y0, x1, y1 = start[0] + _WIDTH / 2, start[1] + _HEIGHT, end[0] + _WIDTH / 2, end[1]
    turn, middle = y1 - _GAP_Y, y1 - _GAP_Y / 2
    return (f'<path d="M{x0} {y0} V{turn} C{x0} {middle} {x1} {middle} {x1} {y1}" fill="none" stroke="#7289ab" '
            'stroke-width="1.5" marker-end="url(#tip)"/>')

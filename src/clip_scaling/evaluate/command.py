"""`clip-scaling evaluate`: the runs of a study, or any open_clip model on evaluation folders."""

import argparse
import json
import os
import sys
from pathlib import Path

from ..core.errors import UserError

TASKS = ("auto", "zeroshot", "retrieval", "linear_probe")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    study = parser.add_argument_group("the runs of a study")
    study.add_argument("--study", metavar="NAME_OR_PATH", help="study whose runs are evaluated (default: params.yaml)")
    study.add_argument("--run", action="append", metavar="RUN", help="only this run; may be repeated")
    study.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    any_model = parser.add_argument_group("any model on any evaluation folder")
    any_model.add_argument("--model", action="append", metavar="NAME_OR_FOLDER",
                           help="an architecture of open_clip's, or a run's folder; may be repeated")
    any_model.add_argument("--pretrained", action="append", metavar="PATH_OR_TAG",
                           help="weights for --model NAME; may be repeated: each checkpoint is evaluated")
    any_model.add_argument("--data", action="append", metavar="DIR",
                           help="evaluation folder in CLIP_benchmark's webdataset layout; may be repeated")
    any_model.add_argument("--task", choices=TASKS, default="auto", help="default: what the folder is made for")
    any_model.add_argument("--device", default="cpu", help="cpu or cuda")
    any_model.add_argument("--paper-sets", action="store_true", help="list the paper's evaluation sets and end")
    any_model.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: argparse.Namespace) -> None:
    if args.paper_sets:
        return _paper_sets(args.json)
    if args.model or args.pretrained or args.data:
        return _any_model(args)
    return _study(args)


def _study(args: argparse.Namespace) -> None:
    from ..core.params import default_study
    from ..core.study import load_study
    from .grid import evaluate_runs, jobs

    study = load_study(args.study or default_study())
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if args.workers is not None:
        if args.workers < 1:
            raise UserError(f"--workers is {args.workers}", mend="give 1 or more")
        workers = args.workers
    evaluate_runs(jobs(study, args.run), workers=workers)


def _any_model(args: argparse.Namespace) -> None:
    if not args.model or not args.data:
        raise UserError("a model needs data, and data a model", mend="give --model, --pretrained and --data")
    if args.run or args.study:
        raise UserError("--study and --run go with a study, --model and --data without", mend="take one of the two")
    scores = []
    for model, pretrained in _checkpoints(args.model, args.pretrained or []):
        scores += evaluate_model(model, pretrained, [Path(path) for path in args.data], args.task, device=args.device)
    if args.json:
        json.dump(scores, sys.stdout, indent=1)
        print()
    else:
        for row in scores:
            print("{model:24} {task:24} {dataset:20} {split:5} {metric:28} {value:.4f}".format(**row))


def _checkpoints(models: list[str], pretrained: list[str]) -> list[tuple[str, str | None]]:
    """A run's folder stands for itself; an architecture is taken with each checkpoint."""
    found: list[tuple[str, str | None]] = []
    for model in models:
        alone = (Path(model) / "model.json").is_file() or not pretrained
        found += [(model, None)] if alone else [(model, source) for source in pretrained]
    return found


def evaluate_model(model: str, pretrained: str | None, data: list[Path], task: str, *, device: str = "cpu") -> list[dict]:
    """Scores of one model on evaluation folders, as dictionaries. Raises UserError."""
    from dataclasses import asdict

    from . import tasks
    from .folder import Kind, open_folder
    from .model import load

    folders = [open_folder(path) for path in data]
    subject = load(model, pretrained, device=device)
    named = {"zeroshot": tasks.zeroshot, "retrieval": tasks.retrieval, "linear_probe": tasks.linear_probe}
    rows = []
    for folder in folders:
        chosen = task if task != "auto" else ("retrieval" if folder.kind is Kind.RETRIEVAL else "zeroshot")
        scores = tasks.kept(named[chosen], subject, folder)
        for sentence in _differences(folder, scores):
            print(sentence, file=sys.stderr)
        for score in scores:
            rows.append({"model": subject.name, **asdict(score)})
    return rows


def _differences(folder, scores: list) -> list[str]:
    from .paper_sets import differences

    images = [score.n_items for score in scores if score.split == "test" and not score.metric.startswith("image_")]
    return differences(folder, images[0]) if images else []


def _paper_sets(as_json: bool) -> None:
    from dataclasses import asdict

    from .paper_sets import paper_sets

    if as_json:
        json.dump([asdict(one) for one in paper_sets()], sys.stdout, indent=1)
        print()
        return
    for one in paper_sets():
        counts = [str(count) if count else "-" for count in (one.n_items, one.n_classes, one.n_templates)]
        print(f"{one.dataset:36} {one.folder:36} {one.metric:24} " + " ".join(f"{count:>6}" for count in counts))

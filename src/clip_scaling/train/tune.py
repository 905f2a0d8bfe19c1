"""`clip-scaling tune`: learning rates of the image-text towers and of the token embedding, on families never reported.

Short runs on the study's largest subset, judged by zero-shot classification of data/<study>/pool/tuning/<dataset>.
The outcome is a table to commit and the lines to put into the study file; `dvc repro` never tunes.
"""

import argparse
import dataclasses
import sys
from dataclasses import dataclass

from ..core import params, paths
from ..core.errors import UserError
from ..core.files import atomic_path
from ..core.study import Run, Study, load_study
from .command import add_machine_arguments, deadline_of, train_missing

COLUMNS = ("recipe", "architecture", "subset", "samples_seen", "seed", "learning_rate", "token_embedding_lr_scale", "dataset",
           "acc1", "acc5", "mean_reciprocal_rank", "n_items", "n_classes", "status")
KEY = COLUMNS[:8]


@dataclass(frozen=True)
class Trial:
    """A row of tuning.csv: settings, and how the run did on the tuning set (0 where it failed).

    `recipe` is the version of the training recipe; trials of another one say nothing about this one.
    """

    recipe: int
    architecture: str
    subset: str
    samples_seen: int
    seed: int
    learning_rate: float
    token_embedding_lr_scale: float
    dataset: str
    acc1: float
    acc5: float
    mean_reciprocal_rank: float
    n_items: int
    n_classes: int
    status: str


def add_arguments(parser) -> None:
    parser.add_argument("--study", help="name or file of a study (default: the one in params.yaml)")
    parser.add_argument("--architecture", action="append", help="only this one (may be repeated)")
    parser.add_argument("--learning-rates", type=_numbers, default=(0.002, 0.004), metavar="A,B")
    parser.add_argument("--embedding-scales", type=_numbers, default=(5.0, 10.0), metavar="A,B")
    parser.add_argument("--samples", type=_budgets, default=(51_200, 204_800), metavar="A,B", help="samples seen by the "
                        "trials of each setting; the best over all of them is chosen (default: 51200,204800)")
    parser.add_argument("--dataset", default="icons", help="tuning set (default: %(default)s)")
    add_machine_arguments(parser)


def _budgets(text: str) -> tuple[int, ...]:
    return _listed(text, int, "whole numbers")


def _numbers(text: str) -> tuple[float, ...]:
    return _listed(text, float, "numbers")


def _listed(text: str, kind: type, what: str) -> tuple:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of {what} with commas") from None


def run(args) -> int:
    """Return 0, or 3 where `--minutes` were over before all trials were done: then nothing is chosen."""
    deadline = deadline_of(args)
    study = load_study(args.study or params.default_study())
    names = args.architecture or [entry.name for entry in study.train.architectures]
    for name in names:
        if name not in {entry.name for entry in study.train.architectures}:
            known = ", ".join(entry.name for entry in study.train.architectures)
            raise UserError(f"unknown architecture {name!r} in study {study.study}", mend=f"known: {known}")
    if study.train.engine != "embedded":
        raise UserError(f"study {study.study} has learning rates as published", mend="tune a study of our own")
    _recorded(study.study)  # a broken table is told before hours of training, not after
    found, done = trials(study, names, args, deadline)
    table = merged(study.study, found)
    if not done:
        said = "not all trials are finished, so none is chosen; the same command goes on"
        print(f"clip-scaling tune: {said}", file=sys.stderr)
        return 3
    print("\n".join(yaml_lines(table)))
    return 0


def trials(study: Study, names: list[str], args, deadline: float | None) -> tuple[list[Trial], bool]:
    """Train what the grid of settings asks for, and score it; False where time was up before all were done."""
    from .finished import is_finished
    from .scoring import tuning_set

    subset = max(study.subset.subsets, key=lambda entry: entry.samples).name
    folder = paths.pool(study.study) / "tuning" / args.dataset
    scored = tuning_set(folder, study.prepare.image_size)
    specs = [
        _spec(study, name, subset, samples, rate, scale)
        for name in names for samples in args.samples for rate in args.learning_rates for scale in args.embedding_scales
    ]
    missing = [spec for spec in specs if not is_finished(spec)]
    done = train_missing(missing, study.train.precision, args, deadline)
    return [_trial(spec, args.dataset, scored) for spec in specs if is_finished(spec)], done


def _spec(study: Study, name: str, subset: str, samples: int, rate: float, scale: float):
    from .spec import run_spec

    spec = run_spec(study, Run(architecture=name, subset=subset, samples_seen=samples, learning_rate=rate))
    label = f"{name}_{samples}_lr{rate:g}_x{scale:g}"
    return dataclasses.replace(spec, token_embedding_lr_scale=scale, run=label)


def _trial(spec, dataset: str, scored) -> Trial:
    from . import finished
    from .scoring import score
    from .spec import RECIPE

    status = finished.status(spec)
    result = score(finished.folder(spec), scored) if status == "finished" else (0.0, 0.0, 0.0)
    return Trial(
        RECIPE, spec.architecture, spec.subset, spec.samples_seen, spec.seed, spec.learning_rate, spec.token_embedding_lr_scale,
        dataset, *result, len(scored.labels), len(scored.classnames), status,
    )


def merged(study: str, found: list[Trial]):
    """Write trials into results/<study>/tuning.csv, over rows of the same settings; return the whole table.

    Rows of an older recipe are dropped.
    """
    import pandas as pd

    from .spec import RECIPE

    path = paths.results(study) / "tuning.csv"
    table = pd.DataFrame([dataclasses.asdict(trial) for trial in found], columns=list(COLUMNS))
    if (known := _recorded(study)) is not None:
        table = pd.concat([known[known["recipe"] == RECIPE], table.astype(known.dtypes)], ignore_index=True)
    table = table.drop_duplicates(list(KEY), keep="last").sort_values(list(KEY), kind="stable")
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    return table


def _recorded(study: str):
    """results/<study>/tuning.csv as it stands; None without one. Raises UserError for a broken one."""
    from ..core.result_tables import TUNING
    from ..core.schema import read_table

    path = paths.results(study) / "tuning.csv"
    return read_table(path, TUNING) if path.is_file() else None


def yaml_lines(table) -> list[str]:
    """The best settings of each architecture, as a study file has them.

    Judged by the mean reciprocal rank, the least noisy score, averaged over budgets: a rate that serves long runs alone
    ruins short ones. Settings not tried at all budgets of their architecture are not considered.
    """
    settings = ["architecture", "learning_rate", "token_embedding_lr_scale"]
    judged = table.groupby(settings, as_index=False).agg(
        budgets=("samples_seen", "nunique"), mean=("mean_reciprocal_rank", "mean"))
    judged = judged[judged["budgets"] == judged.groupby("architecture")["budgets"].transform("max")]
    best = judged.loc[judged.groupby("architecture")["mean"].idxmax()].set_index("architecture")
    return [
        f"    - {{name: {name}, learning_rate: {best.at[name, 'learning_rate']:g}, "
        f"token_embedding_lr_scale: {best.at[name, 'token_embedding_lr_scale']:g}}}"
        for name in table["architecture"].unique()
    ]

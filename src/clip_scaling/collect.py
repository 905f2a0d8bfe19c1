"""`clip-scaling collect`: records of runs and their scores, gathered into results/<study>/."""

import argparse
from pathlib import Path

import pandas as pd

from .core import paths
from .core.errors import UserError, short
from .core.files import atomic_path, write_json
from .core.json_files import read_json
from .core.result_tables import LEARNING_CURVES, LOSS, PATCHING
from .core.schema import RUNS, SCORES, TIMINGS, Table, read_table, validate, write_table
from .core.study import Study, load_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", metavar="NAME_OR_PATH", help="study to collect (default: params.yaml)")


def run(args: argparse.Namespace) -> None:
    from .core.params import default_study

    collect(load_study(args.study or default_study()))


def collect(study: Study) -> None:
    """Write runs.csv, scores.csv and timings.csv of a study. Raises UserError where a run of the study is missing."""
    names = [run.run_id for run in study.train.runs]
    runs = [_record(study, name, "record.json", RUNS) for name in names]
    timings = [_record(study, name, "timing.json", TIMINGS) for name in names]
    scores = [_scores(study, name) for name in names]
    target = paths.results(study.study)
    write_table(pd.DataFrame(runs), target / "runs.csv", RUNS)
    write_table(pd.DataFrame(timings), target / "timings.csv", TIMINGS)
    # Frames of mixed emptiness would lose their whole-number types in a plain concatenation.
    write_table(pd.concat([frame.astype(object) for frame in scores]), target / "scores.csv", SCORES)
    _patching(study, target / "patching.csv")
    _learning_curves(study, target / "learning_curves.csv")
    _data_card(study, target / "data_card.json")


def _patching(study: Study, target: Path) -> None:
    """Gather the mixes of the patched runs; a study without any has a table without rows."""
    where = paths.evaluations(study.study) / "patching"
    found = {run.run_id: where / f"{run.run_id}.csv" for run in study.train.runs}
    frames = {name: read_table(path, PATCHING) for name, path in found.items() if path.is_file()}
    for name, frame in frames.items():
        _all_belong(frame, study, name, found[name])
    _gathered([*frames.values()], target, PATCHING)


def _learning_curves(study: Study, target: Path) -> None:
    """Gather the loss during training of each run that kept it: study, run, samples_seen, loss."""
    found = {run.run_id: paths.runs(study.study) / run.run_id / "loss.csv" for run in study.train.runs}
    frames = [read_table(path, LOSS).assign(study=study.study, run=name) for name, path in found.items() if path.is_file()]
    _gathered(frames, target, LEARNING_CURVES)


def _gathered(frames: list[pd.DataFrame], target: Path, table: Table) -> None:
    """Write `frames` one after another, in the order of the study's runs."""
    whole = pd.concat([pd.DataFrame(columns=table.names), *frames]) if frames else pd.DataFrame(columns=table.names)
    with atomic_path(target) as temporary:
        validate(whole, table, where=target).to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")


def _data_card(study: Study, target: Path) -> None:
    """What the data are, as `prepare` counted them; hashes of its files stay in its manifest."""
    manifest, mend = paths.pool(study.study) / "manifest.json", "run `clip-scaling prepare` again"
    card = read_json(manifest, kind=dict, mend=mend) if manifest.is_file() else {"study": study.study}
    try:
        write_json(target, {key: value for key, value in card.items() if key != "files"})
    except (ValueError, RecursionError) as error:  # NaN, half a letter, or deeper than can be written
        raise UserError(f"is no data card ({error})", where=manifest, mend=mend) from None


def _record(study: Study, name: str, file: str, table: Table) -> dict:
    path = paths.runs(study.study) / name / file
    if not path.is_file():
        raise UserError("is missing", where=path, mend="run `clip-scaling train` and collect again")
    record = read_json(path, kind=dict, mend="train the run again")
    _belongs(record, study, name, path)
    row = dict.fromkeys(table.names) | record
    cells = {key: [_cell(key, value, path)] for key, value in row.items()}
    validate(pd.DataFrame(cells), table, where=path)
    return row


def _cell(key: str, value: object, path: Path) -> str:
    """A value as a table's cell. Raises UserError for what is none: lists, objects, true and false, half a letter."""
    if isinstance(value, bool | list | dict) or (isinstance(value, str) and not _is_unicode(value)):
        raise UserError(f"{short(key)} is {short(value)!r}, no number or text", where=path, mend="train the run again")
    return "" if value is None else str(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _scores(study: Study, name: str) -> pd.DataFrame:
    path = paths.evaluations(study.study) / f"{name}.csv"
    if not path.is_file():
        raise UserError("is missing", where=path, mend="run `clip-scaling evaluate` and collect again")
    frame = read_table(path, SCORES)
    _all_belong(frame, study, name, path)
    return frame


def _all_belong(frame: pd.DataFrame, study: Study, name: str, path: Path) -> None:
    for row in frame[["study", "run"]].drop_duplicates().to_dict("records"):
        _belongs(row, study, name, path)


def _belongs(row: dict, study: Study, name: str, path: Path) -> None:
    if (row.get("study"), row.get("run")) != (study.study, name):
        run, other = (short(repr(row.get(key))) for key in ("run", "study"))
        what = f"is of run {run} of study {other}, not {name!r} of {study.study!r}"
        raise UserError(what, where=path, mend="remove it and run the stage again")

"""`clip-scaling collect`: records of runs and their scores, gathered into results/<study>/."""

import argparse
import json
from pathlib import Path

import pandas as pd

from .core import paths
from .core.errors import UserError
from .core.files import atomic_path, read_json, write_json
from .core.schema import RUNS, SCORES, TIMINGS, Table, read_table, write_table
from .core.study import Study, load_study

LEARNING_CURVES = ("study", "run", "samples_seen", "loss")
PATCHING = ("study", "run", "alpha", "role", "dataset", "value", "chosen")


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
    found = [where / f"{run.run_id}.csv" for run in study.train.runs]
    frames = [pd.read_csv(path) for path in found if path.is_file()] or [pd.DataFrame(columns=PATCHING)]
    with atomic_path(target) as temporary:
        pd.concat(frames).to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")


def _learning_curves(study: Study, target: Path) -> None:
    """Gather the loss during training of each run that kept it: study, run, samples_seen, loss."""
    found = {run.run_id: paths.runs(study.study) / run.run_id / "loss.csv" for run in study.train.runs}
    frames = [pd.read_csv(path).assign(study=study.study, run=name) for name, path in found.items() if path.is_file()]
    frames = frames or [pd.DataFrame(columns=LEARNING_CURVES)]
    with atomic_path(target) as temporary:
        pd.concat(frames)[list(LEARNING_CURVES)].to_csv(temporary, index=False, lineterminator="\n")


def _data_card(study: Study, target: Path) -> None:
    """What the data are, as `prepare` counted them; hashes of its files stay in its manifest."""
    manifest = paths.pool(study.study) / "manifest.json"
    card = read_json(manifest) if manifest.is_file() else {"study": study.study}
    write_json(target, {key: value for key, value in card.items() if key != "files"})


def _record(study: Study, name: str, file: str, table: Table) -> dict:
    path = paths.runs(study.study) / name / file
    if not path.is_file():
        raise UserError("is missing", where=path, mend="run `clip-scaling train` and collect again")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"is no JSON ({error})", where=path, mend="train the run again") from None
    if not isinstance(record, dict):
        raise UserError("is no JSON object", where=path, mend="train the run again")
    _belongs(record, study, name, path)
    return {column: record.get(column) for column in table.names} | {
        key: value for key, value in record.items() if key not in table.names
    }


def _scores(study: Study, name: str) -> pd.DataFrame:
    path = paths.evaluations(study.study) / f"{name}.csv"
    if not path.is_file():
        raise UserError("is missing", where=path, mend="run `clip-scaling evaluate` and collect again")
    frame = read_table(path, SCORES)
    for row in frame[["study", "run"]].drop_duplicates().to_dict("records"):
        _belongs(row, study, name, path)
    return frame


def _belongs(row: dict, study: Study, name: str, path: Path) -> None:
    if (row.get("study"), row.get("run")) != (study.study, name):
        what = f"is of run {row.get('run')!r} of study {row.get('study')!r}, not {name!r} of {study.study!r}"
        raise UserError(what, where=path, mend="remove it and run the stage again")

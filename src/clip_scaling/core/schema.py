"""The narrow waist: the tables that cross stages, their columns, units and checks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .cells import read_cells
from .errors import UserError, short, shortlist
from .files import atomic_path


@dataclass(frozen=True)
class Column:
    """A column: `kind` is text, whole, number or fraction (a number in [0, 1]); `unit` and `about` are for readers.

    Numbers lie above `above`; a whole number is below 2**53, so that a table holds it exactly. `known`: the only texts.
    """

    name: str
    kind: str
    about: str
    unit: str = ""
    optional: bool = False  # the cell may be empty
    above: float = -np.inf
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table: its columns in order and the columns that name a row; () where rows have no name and may stand twice."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


STATUSES = ("finished", "failed", "released")
_EXACT = 2**53  # whole numbers below are exact as floating point

RUNS = Table(
    "runs",
    (
        Column("study", "text", "study that the run belongs to"),
        Column("run", "text", "name of the run, unique in its study"),
        Column("family", "text", "pre-training distribution"),
        Column("subset", "text", "pre-training subset"),
        Column("architecture", "text", "open_clip model configuration"),
        Column("parameters", "whole", "parameters of both towers", optional=True, above=0),
        Column("gmacs_per_sample", "number", "forward pass of one image-text pair", "GMAC", above=0),
        Column("unique_samples", "whole", "distinct pairs in the subset", optional=True, above=0),
        Column("samples_seen", "whole", "pairs seen in training, repeats counted", above=0),
        Column("batch_size", "whole", "global batch", optional=True, above=0),
        Column("learning_rate", "number", "peak learning rate", optional=True, above=0),
        Column("warmup_steps", "whole", "linear warm-up", "steps", optional=True, above=-1),
        Column("precision", "text", "numeric precision of training", optional=True),
        Column("seed", "whole", "seed of initialisation and order", optional=True, above=-1),
        Column("status", "text", "finished, failed or released", known=STATUSES),
        Column("source", "text", "what made the row: stage, table, file or repository"),
    ),
    ("study", "run"),
)

SCORES = Table(
    "scores",
    (
        Column("study", "text", "study that the run belongs to"),
        Column("run", "text", "run that was evaluated"),
        Column("task", "text", "zeroshot_classification, retrieval, linear_probe_full, fine_tuning ..."),
        Column("dataset", "text", "evaluation set"),
        Column("split", "text", "part of the evaluation set"),
        Column("metric", "text", "acc1, acc5, mean_per_class_recall, image_retrieval_recall@5 ..."),
        Column("value", "fraction", "score, larger is better"),
        Column("n_items", "whole", "images or queries scored", optional=True, above=0),
        Column("n_classes", "whole", "classes, or candidates of a retrieval", optional=True, above=0),
        Column("seed", "whole", "seed of the evaluation", optional=True, above=-1),
        Column("source", "text", "what made the row: stage, table, file or repository"),
    ),
    ("study", "run", "task", "dataset", "split", "metric", "seed"),
)

TIMINGS = Table(
    "timings",
    (
        Column("study", "text", "study that the run belongs to"),
        Column("run", "text", "name of the run"),
        Column("seconds", "number", "wall time of training", "s", optional=True),
        Column("samples_per_second", "number", "throughput of training", "1/s", optional=True),
        Column("device", "text", "processor that trained"),
        Column("versions", "text", "python, torch and open_clip"),
        Column("energy_kwh", "number", "measured by the device; empty: not measured", "kWh", optional=True),
        Column("loss_spikes", "whole", "steps whose loss jumped", optional=True, above=-1),
        Column("finished_at", "text", "UTC time", optional=True),
    ),
    ("study", "run"),
)

LAWS = Table(
    "laws",
    (
        Column("study", "text", "study that was fitted"),
        Column("family", "text", "pre-training distribution"),
        Column("task", "text", "task of the scores"),
        Column("dataset", "text", "evaluation set"),
        Column("metric", "text", "metric whose complement is the error"),
        Column("form", "text", "form of the law"),
        Column("estimator", "text", "objective and solver"),
        Column("parameter", "text", "parameter of the form"),
        Column("value", "number", "estimate", optional=True),
        Column("low", "number", "lower end of the 95 % interval", optional=True),
        Column("high", "number", "upper end of the 95 % interval", optional=True),
        Column("interval_method", "text", "how the interval was made"),
        Column("status", "text", "how the fit ended"),
        Column("n_points", "whole", "models fitted", above=-1),
        Column("n_left_out", "whole", "models left out, near chance or failed", above=-1),
        Column("insample_mae_pp", "number", "mean absolute error on the fitted models", "pp", optional=True),
        Column("heldout_mae_pp", "number", "the same on held out", "pp", optional=True),
    ),
    ("study", "family", "task", "dataset", "metric", "form", "estimator", "parameter"),
)

TABLES = {table.name: table for table in (RUNS, SCORES, TIMINGS, LAWS)}


def read_table(path: Path, table: Table) -> pd.DataFrame:
    """Read and validate a CSV; extra columns and rows are refused, never dropped. Raises UserError."""
    path = Path(path)
    if not path.is_file():
        raise UserError("no such table", where=path, mend="run `make repro`, or name an existing file")
    return validate(read_cells(path), table, where=path)


def validate(frame: pd.DataFrame, table: Table, *, where: object = "table") -> pd.DataFrame:
    """Return `frame` in the table's column order and types; raises UserError naming column and row."""
    missing = [name for name in table.names if name not in frame.columns]
    extra = [str(name) for name in frame.columns if name not in table.names]
    if missing or extra:
        said = [f"lacks {', '.join(missing)}"] if missing else []
        said += [f"has unknown columns {shortlist(extra)}"] if extra else []
        raise UserError(f"{table.name} {' and '.join(said)}", where=where, mend=f"columns are {', '.join(table.names)}")
    typed = pd.DataFrame({column.name: _typed(frame[column.name], column, where) for column in table.columns})
    if table.key and (repeated := typed.duplicated(list(table.key))).any():
        row = typed.loc[repeated.idxmax(), list(table.key)]
        raise UserError(f"{table.name} row {shortlist(row)} stands twice", where=where, mend="keep one of the two")
    return typed.reset_index(drop=True)


def _typed(values: pd.Series, column: Column, where: object) -> pd.Series:
    empty = values.isna() | (values.astype(str).str.strip() == "")
    if empty.any() and not column.optional:
        raise UserError(f"{column.name} is empty in data row {_row(empty)}", where=where, mend="fill it in")
    if column.kind == "text":
        return _text(values.where(~empty, "").astype(str), column, where)
    numbers = pd.to_numeric(values.where(~empty), errors="coerce").astype(float)
    bad = (numbers.isna() & ~empty) | np.isinf(numbers) | (numbers <= column.above)
    if column.kind == "whole":
        bad |= ~empty & ((numbers % 1 != 0) | (numbers.abs() >= _EXACT))
    if column.kind == "fraction":
        bad |= ~empty & ~numbers.between(0, 1)
    if bad.any():
        limit = f" above {column.above:g}" if np.isfinite(column.above) else ""
        raise UserError(
            f"{column.name} is {short(values[bad].iloc[0])!r} in data row {_row(bad)}, not a {column.kind}{limit}",
            where=where, mend="a fraction lies in [0, 1]; a number is finite; a whole number is below 2**53",
        )
    return numbers.astype("Int64") if column.kind == "whole" else numbers


def _text(values: pd.Series, column: Column, where: object) -> pd.Series:
    bad = ~values.isin(column.known) if column.known else values.str.contains(r"[\x00-\x1f\x7f-\x9f]")
    if bad.any():
        mend = f"known: {', '.join(column.known)}" if column.known else "text without control characters"
        raise UserError(f"{column.name} is {short(values[bad].iloc[0])!r} in data row {_row(bad)}", where=where, mend=mend)
    return values


def _row(mask: pd.Series) -> int:
    return int(np.argmax(mask.to_numpy())) + 1


def write_table(frame: pd.DataFrame, path: Path, table: Table) -> pd.DataFrame:
    """Validate, sort by key and write as CSV, atomically and byte for byte the same for the same rows."""
    valid = validate(frame, table, where=path).sort_values(list(table.key), kind="stable")
    with atomic_path(path) as temporary:
        valid.to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")
    return valid.reset_index(drop=True)


def errors_frame(runs: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Join scores with their runs and add what fits and charts use.

    Added columns: `error` = 1 - value; `compute` = gmacs_per_sample x samples_seen, in GMAC (paper, Section 3);
    `standard_error` = binomial, NaN where n_items is unknown; `chance` = score of guessing, NaN where unknown.
    Raises UserError for a score whose run is not among the runs.
    """
    known = pd.MultiIndex.from_frame(runs[["study", "run"]])
    stray = ~pd.MultiIndex.from_frame(scores[["study", "run"]]).isin(known)
    if stray.any():
        row = scores.iloc[int(np.argmax(stray))]
        raise UserError(f"scores are of run {short(row['run'])!r} of study {short(row['study'])!r}, which the runs lack",
                        where="scores", mend="add the run to runs.csv, or drop its scores")
    joined = scores.merge(runs.drop(columns=["seed", "source"]), on=["study", "run"], validate="many_to_one")
    items = joined["n_items"].astype(float)
    top = joined["metric"].str.extract(r"(?:acc|@)(\d+)$")[0].astype(float)
    joined["error"] = 1 - joined["value"]
    joined["compute"] = joined["gmacs_per_sample"] * joined["samples_seen"].astype(float)
    if not np.isfinite(joined["compute"]).all():
        run = joined.loc[~np.isfinite(joined["compute"]), "run"].iloc[0]
        raise UserError(f"run {short(run)!r} has no finite compute", where="runs", mend="mend gmacs_per_sample and samples_seen")
    joined["standard_error"] = np.sqrt(joined["value"] * joined["error"] / items)
    joined["chance"] = (top.fillna(1) / joined["n_classes"].astype(float)).clip(upper=1)
    return joined

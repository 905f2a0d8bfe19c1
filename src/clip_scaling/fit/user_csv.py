"""Fit any CSV of results, one that knows nothing of our tables."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import read_cells
from ..core.errors import UserError, short
from .estimate import fit
from .forms import Form, form_named
from .heldout import HeldOut, hold_out
from .outcome import Estimator, Fit, Points

_ROLES = ("compute", "error", "gmacs", "samples", "unique", "items")


@dataclass(frozen=True)
class Columns:
    """Names of a CSV's columns; `compute` may be left out where `gmacs` and `samples` are given."""

    error: str
    compute: str | None = None
    gmacs: str | None = None
    samples: str | None = None
    unique: str | None = None
    items: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class GroupFit:
    """A group's law and, where asked for, its held-out test."""

    group: str
    fit: Fit
    heldout: HeldOut | None


def fit_csv(path: Path, columns: Columns, form_name: str, *, estimator: str = Estimator.LOG_LS, draws: int = 4000,
            delta: float = 0.01, holdout: float | None = None) -> list[GroupFit]:
    """Fit each group of a CSV. Raises UserError for anything that a user can mend in file or arguments."""
    form = form_named(form_name)
    _check_request(form, columns, Estimator(estimator), holdout)
    frame = _read(Path(path), columns)
    groups = frame.groupby(columns.group, sort=True) if columns.group else [("all", frame)]
    made = []
    for name, rows in groups:
        points = _points(rows, columns)
        _check_points(points, form, path, name if columns.group else None, holdout)
        place = _place(path, name if columns.group else None)
        law = _determined(fit(points, form, estimator, draws=draws, delta=delta), place, "the models")
        test = hold_out(points, form, estimator, holdout, delta) if holdout else None
        if test is not None:
            _determined(test.fit, place, f"the {test.fit.n_points} models that --holdout leaves")
        made.append(GroupFit(str(name), law, test))
    return made


def _place(path: Path, group: str | None) -> str:
    return f"{path}, group {short(group)}" if group is not None else str(path)


def _determined(law: Fit, place: str, models: str) -> Fit:
    """Raises UserError where there is no estimate."""
    if not law.ok:
        raise UserError(f"{models} do not determine every parameter of form {law.form} (status {law.status})", where=place,
                        mend="give models that differ in what the form reads, or take a form of fewer parameters")
    return law


def _check_request(form: Form, columns: Columns, estimator: Estimator, holdout: float | None) -> None:
    given = {f"--{role}": name for role in (*_ROLES, "group") if (name := getattr(columns, role)) is not None}
    for option, name in given.items():
        if not name.strip() or name != name.strip():
            raise UserError(f"{option} is {short(name)!r}", mend="name a column of the CSV, without blanks around it")
        twin = next(other for other, named in given.items() if named == name)
        if twin != option:
            raise UserError(f"{twin} and {option} both name column {short(name)}", mend="name a column of its own for each")
    if columns.compute is None and not (columns.gmacs and columns.samples):
        raise UserError("no compute given", mend="name --compute, or both --gmacs and --samples, whose product it is")
    lacking = [f"--{need}" for need in form.needs if need != "compute" and getattr(columns, need) is None]
    if lacking:
        raise UserError(f"form {form.name} needs {' and '.join(lacking)}", mend="name these columns, or take another --form")
    if estimator is Estimator.LOG_LS_BINOMIAL and columns.items is None:
        raise UserError(f"estimator {estimator} needs --items", mend="name the column with the number of items scored")
    if estimator is Estimator.VARPRO and form.basis is None:
        raise UserError(f"estimator {estimator} does not apply to form {form.name}", mend="take --estimator log_ls")
    if form.front and estimator is not Estimator.LOG_LS:
        raise UserError(f"estimator {estimator} does not apply to form {form.name}", mend="take --estimator log_ls, or form power")
    if holdout is not None and not 0 < holdout < 1:
        raise UserError(f"--holdout is {holdout}", mend="give a fraction between 0 and 1, such as 0.2")


def _read(path: Path, columns: Columns) -> pd.DataFrame:
    wanted = {role: name for role in (*_ROLES, "group") if (name := getattr(columns, role))}
    frame = read_cells(path, wanted.values())
    for role in _ROLES:
        if role in wanted:
            frame[wanted[role]] = _numbers(frame[wanted[role]], wanted[role], role, path)
    if columns.group:
        _refuse(frame[columns.group].str.strip() == "", columns.group, "empty", path, "fill it in or drop the row")
    return frame


def _numbers(values: pd.Series, name: str, role: str, path: Path) -> pd.Series:
    empty = values.str.strip().str.lower().isin(["", "nan", "na", "null", "none"])
    _refuse(empty, name, "empty or NaN", path, "fill it in or drop the row")
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    _refuse(~np.isfinite(numbers), name, "not a finite number", path, "write numbers with a decimal point", values)
    if role == "error":
        mend = "give errors as fractions: 1 - accuracy, or percent / 100"
        _refuse((numbers <= 0) | (numbers > 1), name, "an error outside (0, 1]", path, mend, values)
    else:
        _refuse(numbers <= 0, name, "not positive", path, "mend or drop the row", values)
    return numbers


def _refuse(bad: pd.Series, name: str, what: str, path: Path, mend: str, values: pd.Series | None = None) -> None:
    if bad.any():
        row = int(np.argmax(bad.to_numpy()))
        said = "" if values is None else f" ({short(values.iloc[row])})"
        raise UserError(f"{short(name)} is {what}{said} in data row {row + 1}", where=path, mend=mend)


def _points(rows: pd.DataFrame, columns: Columns) -> Points:
    arrays = {role: rows[name].to_numpy(dtype=float) if (name := getattr(columns, role)) else None for role in _ROLES}
    if arrays["compute"] is None:
        with np.errstate(over="ignore", under="ignore"):
            arrays["compute"] = arrays["gmacs"] * arrays["samples"]
    return Points(tuple(f"row {index + 1}" for index in rows.index), **arrays)


def _check_points(points: Points, form: Form, path: Path, group: str | None, holdout: float | None) -> None:
    if not (np.isfinite(points.compute) & (points.compute > 0)).all():
        raise UserError("the product of --gmacs and --samples is no finite positive number", where=path,
                        mend="give GMAC per sample, and samples seen")
    place = _place(path, group)
    needed = len(form.parameters) + 1
    if len(points) < needed:
        raise UserError(f"{len(points)} models are too few for form {form.name} with {len(form.parameters)} parameters",
                        where=place, mend=f"give {needed} or more, or a form with fewer parameters")
    if len(form.parameters) > 1 and points.decades < 1e-3:
        raise UserError("all models have the same compute", where=place, mend="a law in compute needs models that differ in it")
    left = len(points) - max(1, round((holdout or 0) * len(points)))
    if holdout and (len(points) < 6 or left < needed):
        raise UserError(f"{len(points)} models are too few to hold {holdout:g} of them out", where=place,
                        mend="leave out --holdout, or give 6 models or more and hold fewer out")


def as_json(fits: list[GroupFit]) -> str:
    """What `--json` prints: one object a group; missing numbers are null."""
    return json.dumps([_as_dict(one) for one in fits], indent=1, allow_nan=False)


def _as_dict(one: GroupFit) -> dict:
    law = one.fit
    parameters = {name: {"value": _null(law.theta[k]), "low": _null(law.low[k]), "high": _null(law.high[k]),
                         "interval_method": str(law.methods[k])} for k, name in enumerate(law.parameters)}
    made = {"group": one.group, "form": law.form, "estimator": str(law.estimator), "status": str(law.status),
            "n_points": law.n_points, "insample_mae_pp": _null(law.insample_mae_pp), "parameters": parameters}
    if one.heldout is not None:
        test = one.heldout
        made["heldout"] = {"mae_pp": _null(test.mae_pp), "covered": _covered(test), "models": [
            {"name": name, "error": _null(test.error[k]), "predicted": _null(test.predicted[k]), "low": _null(test.low[k]),
             "high": _null(test.high[k])} for k, name in enumerate(test.names)]}
    return made


def _covered(test: HeldOut) -> int | None:
    """How many intervals held their model's error; None where the law has none."""
    return int(test.covered.sum()) if np.isfinite(test.low).all() else None


def _null(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def as_text(fits: list[GroupFit]) -> str:
    """What the command prints for people."""
    lines = []
    for one in fits:
        law = one.fit
        lines.append(f"{one.group}: {law.form}, {law.estimator}, {law.status}, {law.n_points} models, mean absolute error "
                     f"{law.insample_mae_pp:.2f} pp")
        for k, name in enumerate(law.parameters):
            ends = f"95 % [{law.low[k]:.5g}, {law.high[k]:.5g}]   {law.methods[k]}" if np.isfinite(law.low[k]) else "no interval"
            lines.append(f"  {name:<8} {law.theta[k]:>12.5g}   {ends}")
        if one.heldout is not None:
            test = one.heldout
            covered = "no interval" if (held := _covered(test)) is None else f"interval covered {held}"
            lines.append(f"  held out: {len(test.names)} models of largest compute, mean absolute error {test.mae_pp:.2f} pp, "
                         f"{covered}")
    return "\n".join(lines)

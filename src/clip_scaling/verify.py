"""Compare results with the reference: equal, within the stated tolerance, or different."""

import json
import platform
import shutil
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from .core import paths
from .core.cells import read_cells
from .core.errors import UserError, short, shortlist
from .core.files import atomic_path, write_json
from .core.json_files import read_json
from .core.result_tables import CLAIMS, RESULT_TABLES, TABLE_CHECK
from .core.schema import LAWS, RUNS, SCORES, TIMINGS, read_table, validate
from .core.study import is_name

# Columns that name a row. Timings differ from machine to machine and are no result.
KEYS = {f"{table.name}.csv": list(table.key) for table in (RUNS, SCORES, LAWS, CLAIMS, TABLE_CHECK)}
# Rounding of printed decimals and of the linear algebra of another processor.
_RELATIVE = 1e-6
_COMPARES = ("numpy", "scipy", "pandas")
_SCORE = ["task", "dataset", "metric"]


class Outcome(StrEnum):
    EQUAL = "equal"
    WITHIN = "within tolerance"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Comparison:
    """One table of one study: rows by outcome, and the worst rows that differ."""

    study: str
    table: str
    rows: int
    equal: int
    within: int
    differs: int
    examples: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        if self.differs:
            return Outcome.DIFFERS
        return Outcome.WITHIN if self.within else Outcome.EQUAL


def add_arguments(parser) -> None:
    parser.add_argument("--study", action="append", help="study to compare (default: each that has a reference)")
    parser.add_argument("--accept", action="store_true", help="make the present results the reference")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--record", action="store_true", help="write results/<study>/verification.json and end with 0")


def run(args) -> int:
    """0 where nothing differs (or with --record, --accept), 1 where something does."""
    studies = args.study or sorted(folder.name for folder in _reference("").glob("*") if folder.is_dir())
    studies = [Path(study).stem if study.endswith((".yaml", ".yml")) else study for study in studies]
    for study in studies:
        if not is_name(study):
            raise UserError(f"{short(study)!r} is no name of a study", mend="give letters, digits and . _ -, such as cpu")
    if args.accept:
        for study in studies:
            accept(study)
    if not studies:
        raise UserError("no study has a reference", where=_reference(""), mend="make one with verify --study NAME --accept")
    # A study of the user's has no reference yet; its record says so by comparing nothing.
    compared = {study: compare(study) if _reference(study).is_dir() or not args.record else _check(study)
                for study in studies}
    if args.record:
        missing = next((study for study in compared if not paths.results(study).is_dir()), None)
        if missing is not None:  # a record of nothing would make the folder that it is of
            raise UserError(f"no results of study {missing!r}", where=paths.results(missing), mend="reproduce it first")
        for study, comparisons in compared.items():
            write_json(paths.results(study) / "verification.json", report({study: comparisons}))
        return 0
    everything = [comparison for comparisons in compared.values() for comparison in comparisons]
    print(json.dumps(report(compared), indent=1) if args.json else _table(everything, report(compared)))
    return int(any(comparison.outcome is Outcome.DIFFERS for comparison in everything))


def report(compared: dict[str, list[Comparison]]) -> dict:
    """Comparisons by study as JSON, with what made the results, as their own records say, and what compared them."""
    return {
        "comparisons": [asdict(one) | {"outcome": one.outcome} for some in compared.values() for one in some],
        "trained": {study: trained(study) for study in compared},
        "compared_on": f"{platform.system()} {platform.machine()}",
        "compared_with": {"python": platform.python_version()} | {name: _version(name) for name in _COMPARES},
    }


def trained(study: str) -> dict[str, list[str]]:
    """Devices and versions that trained the runs of a study, by its timings; {} where nothing was trained here."""
    path = paths.results(study) / "timings.csv"
    if not path.is_file():
        return {}
    timings = read_table(path, TIMINGS)
    return {"on": sorted(set(timings["device"])), "with": sorted(set(timings["versions"]))}


def accept(study: str) -> None:
    """Copy the present tables of `study` to the reference, and state the tolerance: twice the spread over seeds."""
    source, target = paths.results(study), _reference(study)
    if not (source / "scores.csv").is_file():
        raise UserError(f"no results of study {study!r}", where=source, mend="reproduce it first")
    _check(study)
    runs, scores = _read(source / "runs.csv"), _read(source / "scores.csv")
    spread = seed_spread(runs, scores)
    target.mkdir(parents=True, exist_ok=True)
    for name in KEYS:
        if (source / name).is_file():
            with atomic_path(target / name) as temporary:
                shutil.copyfile(source / name, temporary)
    # Without repeated seeds (the published numbers) nothing may move.
    write_json(target / "tolerance.json", {"scores.csv": {"value": spread}, "laws.csv": {"within_interval": bool(spread)}})


def seed_spread(runs: pd.DataFrame, scores: pd.DataFrame) -> dict[str, float]:
    """Twice the range of a score over runs that differ in their seed alone, the largest of each "task dataset metric".

    {} without such runs.
    """
    cell = ["architecture", "subset", "samples_seen", "task", "dataset", "split", "metric"]
    joined = scores.merge(runs[["run", *cell[:3]]], on="run")
    values = pd.to_numeric(joined["value"]).groupby([joined[name] for name in cell])
    ranges = (values.max() - values.min())[values.count() > 1]
    return {" ".join(key): round(2 * float(part.max()), 6) for key, part in ranges.groupby(level=_SCORE)}


def compare(study: str) -> list[Comparison]:
    """Compare each table of the reference with the results. Raises UserError where there is no reference."""
    reference = _reference(study)
    if not reference.is_dir():
        raise UserError(f"study {study!r} has no reference", where=reference, mend="make one with verify --accept")
    if not any((reference / name).is_file() for name in KEYS):
        raise UserError("holds no table to compare with", where=reference,
                        mend="restore it from git, or make it with verify --accept")
    _check(study)
    tolerance = _tolerance(reference / "tolerance.json")
    tables = [name for name in KEYS if (reference / name).is_file() or (paths.results(study) / name).is_file()]
    return [_compare_table(study, name, reference, tolerance.get(name, {})) for name in tables]


def _check(study: str) -> list[Comparison]:
    """Read each table of a study, those that the reference does not hold, too; nothing is compared. Raises UserError."""
    for path in sorted(paths.results(study).glob("*.csv")):
        _read(path)
    return []


def _tolerance(path: Path) -> dict:
    """{"scores.csv": {"value": {"task dataset metric": spread}}, "laws.csv": {"within_interval": bool}}; {} without a file."""
    try:
        stated = read_json(path) if path.is_file() else {}
        spreads = stated.get("scores.csv", {}).get("value", {})
        within = stated.get("laws.csv", {}).get("within_interval", False)
        if isinstance(within, bool) and all(0 <= value <= 1 for value in spreads.values()):
            return {"scores.csv": {"value": spreads}, "laws.csv": {"within_interval": within}}
    except (ValueError, AttributeError, TypeError, RecursionError):
        pass
    raise UserError("states no tolerance: spreads in [0, 1] and whether laws may move", where=path,
                    mend="restore it from git, or make it anew with verify --accept")


def _compare_table(study: str, name: str, reference: Path, tolerance: dict) -> Comparison:
    # A table that one side lacks differs in every row.
    present, accepted = paths.results(study) / name, reference / name
    found, wanted = (_read(path) if path.is_file() else None for path in (present, accepted))
    found = wanted.iloc[:0] if found is None else found
    wanted = found.iloc[:0] if wanted is None else wanted
    if set(found.columns) != set(wanted.columns):
        odd = sorted(set(found.columns) ^ set(wanted.columns))
        raise UserError(f"has other columns than the reference: {shortlist(odd)}", where=present,
                        mend=f"make it anew, or compare with {accepted}")
    keys = KEYS[name]
    both = wanted.merge(found, on=keys, how="outer", suffixes=("_wanted", "_found"), indicator=True)
    outcomes = [_outcome(row, wanted.columns.difference(keys), name, tolerance) for _, row in both.iterrows()]
    counts = {outcome: outcomes.count(outcome) for outcome in Outcome}
    worst = [", ".join(str(row[key]) for key in keys) for (_, row), outcome in zip(both.iterrows(), outcomes)
             if outcome is Outcome.DIFFERS]
    return Comparison(study, name, len(both), counts[Outcome.EQUAL], counts[Outcome.WITHIN], counts[Outcome.DIFFERS],
                      tuple(worst[:5]))


def _outcome(row: pd.Series, columns, name: str, tolerance: dict) -> Outcome:
    if row["_merge"] != "both":
        return Outcome.DIFFERS
    worst = Outcome.EQUAL
    for column in columns:
        wanted, found = row[f"{column}_wanted"], row[f"{column}_found"]
        if wanted == found or _close(wanted, found):
            continue
        if not _allowed(row, column, wanted, found, name, tolerance):
            return Outcome.DIFFERS
        worst = Outcome.WITHIN
    return worst


def _close(wanted: str, found: str) -> bool:
    try:
        return bool(np.isclose(float(wanted), float(found), rtol=_RELATIVE, atol=1e-12))
    except ValueError:
        return False


def _allowed(row, column: str, wanted: str, found: str, name: str, tolerance: dict) -> bool:
    """Whether a number of a trained study may differ so: other processors round otherwise, and training amplifies it.

    A score may move by the seeds' spread, or by three binomial standard errors where three seeds happen to lie closer.
    An estimate may move within its own interval; the interval's ends and the fit's errors then move with it.
    """
    try:
        difference = abs(float(wanted) - float(found))
    except ValueError:
        return False
    if name == "scores.csv" and column == "value" and tolerance.get("value"):
        spread = tolerance["value"].get(" ".join(row[key] for key in _SCORE), 0.0)
        return difference <= max(spread, 3 * _binomial(float(wanted), row["n_items_wanted"]))
    if name == "laws.csv" and tolerance.get("within_interval") and row["low_wanted"] and row["high_wanted"]:
        inside = float(row["low_wanted"]) <= float(row["value_found"] or "nan") <= float(row["high_wanted"])
        return inside and column in ("value", "low", "high", "insample_mae_pp", "heldout_mae_pp")
    return False


def _binomial(value: float, items: str) -> float:
    return float(np.sqrt(value * (1 - value) / float(items))) if items else 0.0


def _read(path: Path) -> pd.DataFrame:
    """A valid table as text, each row named once. Raises UserError."""
    frame = read_cells(path).replace(r"^\s+$", "", regex=True)  # a blank cell is an empty one, as the schema has it
    if table := RESULT_TABLES.get(path.stem):
        typed = validate(frame, table, where=path)
        if table is LAWS:
            _ordered(typed, path)
    return frame


def _ordered(laws: pd.DataFrame, path: Path) -> None:
    """An estimate lies in its interval; one at its bound alone may lie beyond what percentiles of draws can reach."""
    none = laws[["low", "high"]].isna()
    crossed = (laws["low"] > laws["high"]) | (none["low"] != none["high"]) | (laws["value"].isna() & ~none["low"])
    outside = ((laws["value"] < laws["low"]) | (laws["value"] > laws["high"])) & (laws["status"] != "BOUND_HIT")
    for bad, what in ((crossed, "has an interval that is none"), (outside, "has an estimate outside its interval")):
        if bad.any():
            row = laws.loc[bad.idxmax()]
            raise UserError(f"row {shortlist(row[list(LAWS.key)])} {what}: {row['value']} in [{row['low']}, {row['high']}]",
                            where=path, mend="fit the study again, or restore it from git")


def _reference(study: str) -> Path:
    return paths.project_root() / "reference" / study


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _table(comparisons: list[Comparison], stated: dict) -> str:
    head = f"{'study':<12}{'table':<18}{'rows':>7}{'equal':>8}{'within':>8}{'differs':>9}  outcome"
    lines = [f"{c.study:<12}{c.table:<18}{c.rows:>7}{c.equal:>8}{c.within:>8}{c.differs:>9}  {c.outcome}"
             + "".join(f"\n    differs: {example}" for example in c.examples) for c in comparisons]
    made = [f"{study}: trained on {', '.join(one['on'])} with {'; '.join(one['with'])}"
            for study, one in stated["trained"].items() if one]
    versions = ", ".join(f"{name} {version}" for name, version in stated["compared_with"].items())
    return "\n".join([head, *lines, *made, f"compared on {stated['compared_on']} with {versions}"])

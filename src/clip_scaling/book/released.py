"""Facts that only the published study has: its models and sets, its intervals, claims, tables, errata and cost."""

import pandas as pd

from ..charts.style import in_order
from ..core import paths
from ..core.wording import interval, named
from ..figure import fitted, targets
from ..figure.tables import PUBLISHED, StudyTables


def gather(tables: StudyTables) -> dict:
    """released, ways, claims, cells, errata, gpu_hours, energy_mwh and watts, for the chapters' templates."""
    return {"released": _released(tables), "ways": _ways(tables), **_ledger(), **_cost()}


def _released(tables: StudyTables) -> dict:
    """Who trained which of the published models, and which sets and models enter which figures."""
    drawn = targets.drawn(tables)
    zero_shot = tables.runs[tables.runs["run"].isin(drawn["run"])]
    theirs = zero_shot[zero_shot["family"] == "LAION"]
    others = zero_shot[zero_shot["family"] != "LAION"]
    sets, retrieval = set(drawn["dataset"]), set(drawn.loc[drawn["task"] == "retrieval", "dataset"])
    return {
        "trained": len(theirs),
        "architectures": in_order(theirs["architecture"]),
        "subsets": in_order(theirs["subset"]),
        "samples_low": int(theirs["samples_seen"].min()),
        "samples_high": int(theirs["samples_seen"].max()),
        "others": len(others),
        "other_architectures": in_order(others["architecture"]),
        "only_tuned": len(tables.runs) - len(zero_shot),
        "sets": len(sets),
        "means": [named(name) for name in ("imagenet_robustness", "vtab", "vtab+") if name in sets],
        "only_tuned_sets": [named(name) for name in sorted(set(tables.scores["dataset"]) - sets)],
        "rows": len(sets) + len(retrieval),
    }


def _ways(tables: StudyTables) -> dict:
    """The intervals that this book gives for one exponent, that of LAION on the main set, by how each is made."""
    from ..published.paper_fit import BINS, fit_points

    first = targets.classification(tables)[0]
    fit = fit_points(targets.points_of(tables, [first]), "LAION")
    laws = fitted.power_laws(tables.laws, [first], "binned_front")
    widened = laws[laws["family"] == "LAION"].iloc[0]
    errata = pd.read_csv(paths.results(tables.study) / "errata.csv")
    plain = errata[errata["evidence"].str.fullmatch(rf"{first.title}: exponent of LAION, \d+ resamplings of models")].iloc[0]
    return {
        "set": first.title,
        "bins": BINS,
        "points": len(fit.x),
        "models": int(widened["n_points"]),
        "alpha": fit.alpha,
        "t": interval(*fit.interval),
        "widened": interval(widened["alpha_low"], widened["alpha_high"]),
        "plain": interval(plain["low"], plain["high"]),
    }


VERDICTS = ("reproduced", "holds", "weak", "fails", "inconsistent", "not checkable")


def _ledger() -> dict:
    """Counts of claims, table cells and errata, None where a table is missing."""
    folder = paths.results(PUBLISHED)
    tables = {
        name: pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        for name in ("claims", "table_check", "errata")
        if (folder / f"{name}.csv").is_file()
    }
    made: dict = {"claims": None, "cells": None, "errata": None}
    if "claims" in tables:
        verdicts = tables["claims"]["verdict"]
        made["claims"] = {"all": len(verdicts)}
        made["claims"] |= {name.replace(" ", "_"): int((verdicts == name).sum()) for name in VERDICTS}
    if "table_check" in tables:
        cells = tables["table_check"]
        again = cells[cells["recomputed"] != ""]
        made["cells"] = {
            "all": len(cells),
            "recomputed": len(again),
            "tables": int(cells["table"].nunique()),
            "within": int((again["within_rounding"] == "yes").sum()),
        }
    if "errata" in tables:
        made["errata"] = int(tables["errata"]["erratum"].nunique())
    return made


def _cost() -> dict:
    from ..published import frames
    from ..published.data import Published

    rows = frames.throughput(Published())
    return {
        "gpu_hours": float(rows["gpu_hours"].sum()),
        "energy_mwh": float(rows["energy_mwh"].sum()),
        "watts": frames.WATTS_PER_GPU,
    }

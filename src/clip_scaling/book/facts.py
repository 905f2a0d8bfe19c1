"""Numbers that the chapters' sentences need, read from the tables: none is typed in prose."""

from pathlib import Path

import pandas as pd

from ..charts.style import in_order
from ..core import paths
from ..core.errors import UserError
from ..core.files import read_json
from ..figure import fitted, repeats, targets
from ..figure.registry import NOTEBOOKS, SECTIONS
from ..figure.tables import StudyTables, load
from . import chapters


def gather(studies: list[str]) -> dict:
    """{"studies": {name: facts}, "names": [...], "own": [...], "published": bool} for the chapters' templates."""
    return {
        "studies": {study: study_facts(study) for study in studies},
        "names": studies,
        "own": [study for study in studies if study != chapters.PUBLISHED],
        "published": chapters.PUBLISHED in studies,
        "benchmarks": read_json(kept) if (kept := paths.project_root() / "results" / "benchmarks.json").is_file() else {},
    }


def study_facts(study: str) -> dict:
    """Counts, spans, laws and pages of one study; what only the published or only an own study has, besides."""
    tables = load(study)
    done = tables.runs[tables.runs["status"].isin(["finished", "released"])]
    compute = done["gmacs_per_sample"] * done["samples_seen"].astype(float)
    shown = [*targets.classification(tables), *targets.retrieval(tables)]
    laws = fitted.power_laws(tables.laws, shown, "binned_front" if tables.published else "power").to_dict("records")
    return {
        "name": study,
        "title": _title(study),
        "models": len(done),
        "failed": len(tables.runs) - len(done),
        "architectures": in_order(done["architecture"]),
        "subsets": in_order(done["subset"]),
        "families": in_order(done["family"]),
        "samples_low": int(done["samples_seen"].min()),
        "samples_high": int(done["samples_seen"].max()),
        "compute_low": float(compute.min()),
        "compute_high": float(compute.max()),
        "sets": tables.scores["dataset"].nunique(),
        "laws": [law for law in laws if law["alpha"] == law["alpha"]],
        "pages": _pages(study),
        "repeats": repeats.constants(tables)[["panel", "value", "low", "high"]].to_dict("records"),
        "main": _main(tables),
        "data_card": optional_json(study, "data_card.json"),
        "verification": optional_json(study, "verification.json"),
        "training": training(study),
        **(_ledger() if tables.published else {}),
    }


def _pages(study: str) -> dict[str, list[dict]]:
    """Executed notebooks by section."""
    drawn = set(chapters.notebooks_of(study))
    return {
        section: [
            {"name": book.name, "title": book.title}
            for book in NOTEBOOKS
            if book.section == section and book.name in drawn
        ]
        for section in SECTIONS
    }


def _main(tables: StudyTables) -> dict | None:
    """The main set: its size, chance, the best and the worst model, and how far repeats of one cell differ."""
    if not tables.datasets("zeroshot_classification"):
        return None
    name = targets.main_set(tables)
    rows = tables.of("zeroshot_classification", "acc1")
    rows = rows[rows["dataset"] == name]
    best, worst = rows.loc[rows["error"].idxmin()], rows.loc[rows["error"].idxmax()]
    cells = rows.groupby(["architecture", "subset", "samples_seen"])["error"].agg(["size", "min", "max"])
    repeated = cells[cells["size"] > 1] if not tables.published else cells.iloc[:0]
    return {
        "name": name,
        "classes": _first(rows["n_classes"]),
        "chance": float(rows["chance"].iloc[0]),
        "best": float(best["error"]),
        "best_run": best["run"],
        "worst": float(worst["error"]),
        "worst_run": worst["run"],
        "left_out": int((rows["fitted"] == "left out").sum()),
        "models": len(rows),
        "seeds": int(repeated["size"].max()) if len(repeated) else 0,
        "seed_range": float((repeated["max"] - repeated["min"]).max()) if len(repeated) else 0.0,
    }


def _first(values: pd.Series) -> int | None:
    known = values.dropna()
    return int(known.iloc[0]) if len(known) else None


VERDICTS = ("reproduced", "holds", "weak", "fails", "inconsistent", "not checkable")


def _ledger() -> dict:
    """Counts of claims, table cells and errata, None where a table is missing, and what the released runs cost."""
    folder = paths.results(chapters.PUBLISHED)
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
    return {**made, **_cost()}


def _cost() -> dict:
    from ..published import frames
    from ..published.data import Published

    rows = frames.throughput(Published())
    return {
        "gpu_hours": float(rows["gpu_hours"].sum()),
        "energy_mwh": float(rows["energy_mwh"].sum()),
        "watts": frames.WATTS_PER_GPU,
    }


def optional_json(study: str, name: str) -> dict | None:
    """results/<study>/<name>, or None where the study has none."""
    file = paths.results(study) / name
    return read_json(file) if file.is_file() else None


def training(study: str) -> dict | None:
    """Hours, devices and versions of the study's own training, or None where nothing was timed."""
    file = paths.results(study) / "timings.csv"
    if not file.is_file():
        return None
    timings = pd.read_csv(file)
    return {
        "hours": timings["seconds"].sum() / 3600,
        "devices": in_order(timings["device"]),
        "versions": in_order(timings["versions"]),
        "spikes": int(timings["loss_spikes"].sum()),
        "fastest": timings["samples_per_second"].max(),
        "slowest": timings["samples_per_second"].min(),
    }


def _title(study: str) -> str:
    from ..core.study import load_study

    return "The published study" if study == chapters.PUBLISHED else load_study(study).title


def fill_in(template: Path, values: dict) -> str:
    """The chapter with its numbers. Raises UserError naming chapter and what it asks for in vain."""
    import jinja2

    folder = jinja2.FileSystemLoader(template.parent)
    environment = jinja2.Environment(
        loader=folder,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(FILTERS)
    try:
        return environment.get_template(template.name).render(**values)
    except jinja2.TemplateNotFound:
        raise UserError("no such chapter", where=template, mend="restore it from git") from None
    except jinja2.TemplateError as error:
        raise UserError(
            f"cannot be filled in ({error.message})",
            where=template,
            mend="name a fact that src/clip_scaling/book/facts.py gathers",
        ) from None


def _power(value: float) -> str:
    """1.23e5 as a reader writes it, in MyST: $1.2 \\times 10^{5}$."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def _interval(law: dict) -> str:
    if law["alpha_low"] != law["alpha_low"]:
        return "none"
    return f"{law['alpha_low']:.3f} to {law['alpha_high']:.3f}"


def _word_list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


FILTERS = {
    "half_worth": repeats.half_worth,
    "count": lambda value: f"{int(value):,}",
    "pct": lambda value, digits=1: f"{100 * value:.{digits}f} %",
    "num": lambda value, digits=2: f"{value:.{digits}f}",
    "power": _power,
    "interval": _interval,
    "words": _word_list,
}

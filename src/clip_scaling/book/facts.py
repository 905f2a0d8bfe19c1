"""Numbers that the chapters' sentences need, read from the tables: none is typed in prose."""

from pathlib import Path

import pandas as pd

from ..core import paths
from ..core.errors import UserError
from ..core.files import read_json
from ..figure import fitted, targets
from ..figure.registry import NOTEBOOKS
from ..figure.tables import load
from . import chapters


def gather(studies: list[str]) -> dict:
    """{"studies": {name: facts}, "names": [...], "own": [...], "published": bool} for the chapters' templates."""
    return {
        "studies": {study: study_facts(study) for study in studies},
        "names": studies,
        "own": [study for study in studies if study != chapters.PUBLISHED],
        "published": chapters.PUBLISHED in studies,
    }


def study_facts(study: str) -> dict:
    """Counts, spans and laws of one study, and its pages."""
    tables = load(study)
    done = tables.runs[tables.runs["status"].isin(["finished", "released"])]
    compute = done["gmacs_per_sample"] * done["samples_seen"].astype(float)
    shown = [*targets.classification(tables), *targets.retrieval(tables)]
    titles = {book.name: book.title for book in NOTEBOOKS}
    return {
        "name": study,
        "title": _title(study),
        "models": len(done),
        "failed": len(tables.runs) - len(done),
        "architectures": _listed(done["architecture"]),
        "subsets": _listed(done["subset"]),
        "families": _listed(done["family"]),
        "samples_low": int(done["samples_seen"].min()),
        "samples_high": int(done["samples_seen"].max()),
        "compute_low": float(compute.min()),
        "compute_high": float(compute.max()),
        "sets": tables.scores["dataset"].nunique(),
        "scores": len(tables.scores),
        "laws": fitted.power_laws(tables.laws, shown).to_dict("records"),
        "pages": [{"name": name, "title": titles[name]} for name in chapters.notebooks_of(study)],
        "data_card": optional_json(study, "data_card.json"),
        "verification": optional_json(study, "verification.json"),
        "training": training(study),
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
    return {"hours": timings["seconds"].sum() / 3600, "devices": _listed(timings["device"]),
            "versions": _listed(timings["versions"]), "spikes": int(timings["loss_spikes"].sum()),
            "fastest": timings["samples_per_second"].max(), "slowest": timings["samples_per_second"].min()}


def _title(study: str) -> str:
    from ..core.study import load_study

    return "The published study" if study == chapters.PUBLISHED else load_study(study).title


def _listed(values: pd.Series) -> list[str]:
    from ..charts.style import in_order

    return in_order(values)


def fill_in(template: Path, values: dict) -> str:
    """The chapter with its numbers. Raises UserError naming chapter and what it asks for in vain."""
    import jinja2

    folder = jinja2.FileSystemLoader(template.parent)
    environment = jinja2.Environment(loader=folder, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    environment.filters.update(FILTERS)
    try:
        return environment.get_template(template.name).render(**values)
    except jinja2.TemplateNotFound:
        raise UserError("no such chapter", where=template, mend="restore it from git") from None
    except jinja2.TemplateError as error:
        raise UserError(f"cannot be filled in ({error.message})", where=template,
                        mend="name a fact that src/clip_scaling/book/facts.py gathers") from None


def _power(value: float) -> str:
    """1.23e5 as a reader writes it, in MyST: $1.2 \\times 10^{5}$."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def _word_list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


FILTERS = {
    "count": lambda value: f"{int(value):,}",
    "pct": lambda value, digits=1: f"{100 * value:.{digits}f} %",
    "num": lambda value, digits=2: f"{value:.{digits}f}",
    "power": _power,
    "words": _word_list,
}

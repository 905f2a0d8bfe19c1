"""Numbers that the chapters' sentences need, read from the tables: none is typed in prose."""

import re
from pathlib import Path

import pandas as pd

from ..charts.style import in_order
from ..core import paths
from ..core.errors import UserError
from ..core.json_files import read_json
from ..core.schema import TIMINGS, read_table
from ..core.wording import fixed, interval, listed, minus, named, number, with_interval
from ..figure import fitted, repeats, targets
from ..figure.registry import NOTEBOOKS, SECTIONS
from ..figure.tables import StudyTables, load
from . import chapters, released


def gather(studies: list[str]) -> dict:
    """{"studies": {name: facts}, "names": [...], "own": [...], "published": bool} for the chapters' templates."""
    return {
        "studies": {study: study_facts(study) for study in studies},
        "names": studies,
        "own": [study for study in studies if study != chapters.PUBLISHED],
        "published": chapters.PUBLISHED in studies,
        "benchmarks": _benchmarks(),
        "dependencies": _dependencies(),
    }


def _benchmarks() -> list[dict]:
    """What `clip-scaling bench --save` kept; its printed lines stand in a block of code, where nothing is obeyed."""
    path = paths.project_root() / "results" / "benchmarks.json"
    kept = read_json(path, kind=dict).values() if path.is_file() else []
    try:
        return [{**one, "printed": _Markup("\n".join(one["printed"]).replace("```", ""))} for one in kept]
    except (KeyError, TypeError):
        raise UserError("is no record of bench's", where=path, mend="restore it from git, or run `make bench`") from None


def study_facts(study: str) -> dict:
    """Counts, spans, laws and pages of one study; what only the published or only an own study has, besides."""
    tables = load(study)
    done = tables.runs[tables.runs["status"].isin(["finished", "released"])]
    compute = done["gmacs_per_sample"] * done["samples_seen"].astype(float)
    shown = [*targets.classification(tables), *targets.retrieval(tables)]
    laws = fitted.power_laws(tables.laws, shown, tables.power_form).to_dict("records")
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
        "sets": _sets(tables),
        "laws": [law for law in laws if law["alpha"] == law["alpha"]],
        "pages": _pages(study),
        "repeats": repeats.constants(tables)[["panel", "value", "low", "high"]].to_dict("records"),
        "main": _main(tables),
        "data_card": optional_json(study, "data_card.json"),
        "verification": optional_json(study, "verification.json"),
        "training": training(study),
        "scale": _scale(done),
        **(released.gather(tables) if tables.published else {}),
    }


def _scale(runs: pd.DataFrame) -> dict[str, float] | None:
    """How many times larger the published study's largest is than this study's, by scale; None without its table."""
    if not all((paths.results(chapters.PUBLISHED) / f"{name}.csv").is_file() for name in ("runs", "scores")):
        return None
    tables = load(chapters.PUBLISHED)
    theirs = tables.runs[tables.runs["run"].isin(targets.drawn(tables)["run"])]
    compute = [rows["gmacs_per_sample"] * rows["samples_seen"].astype(float) for rows in (theirs, runs)]
    names = ("parameters", "unique_samples", "samples_seen")
    return {name: float(theirs[name].max() / runs[name].max()) for name in names} | {
        "compute": float(compute[0].max() / compute[1].max())
    }


# What a newcomer needs to know of the sets that the pipeline makes.
_ABOUT = {
    "icons": "general icon sets; the main set of this study",
    "icons-frequent": "the images of `icons` in the classes that most designers draw",
    "icons-designers": "smaller icon sets by further designers",
    "icons-pixel": "pixel art",
    "icons-colour": "coloured icons",
    "icons-sketch": "icons drawn as if by pencil",
    "icons-emoji": "emoji",
    "icons-retrieval": "find the icon for its name, or the name for the icon",
    "emoji-retrieval": "find the emoji for its label, or the label for the emoji",
    "icons-frequent-probe": "`icons-frequent`, cut in two: one part to train a classifier on, this one to test it",
    "digits": "handwritten digits of scikit-learn, 8 px wide",
    "fashion-mnist": "photographs of garments",
}


def _sets(tables: StudyTables) -> list[dict]:
    """Evaluation sets: name, what it shows, classes (None for retrieval), test images and near-duplicates set apart."""
    scores = tables.scores[tables.scores["split"] == "test"]
    card = optional_json(tables.study, "data_card.json") or {}
    apart = {one["name"]: one["images"].get("near_duplicate") for one in card.get("evaluation", ()) if not one["tuning"]}
    return [
        {
            "name": name,
            "about": _ABOUT.get(name, ""),
            "classes": None if (rows["task"] == "retrieval").all() else _most(rows["n_classes"]),
            "images": _most(rows["n_items"]),
            "near": apart.get(name),
        }
        for name, rows in scores.sort_values("task", key=_first_tasks, kind="stable").groupby("dataset", sort=False)
    ]


def _first_tasks(names: pd.Series) -> pd.Series:
    return names.map({"zeroshot_classification": 0, "retrieval": 1}).fillna(2)


def _most(values: pd.Series) -> int | None:
    """Tasks that take part of a set have fewer classes and images of it."""
    return int(values.max()) if values.notna().any() else None


def _dependencies() -> list[dict]:
    """Name, version and licence as pip-licenses wrote them; a cell that holds a licence's whole text, by its name."""
    rows = pd.read_csv(paths.book() / "chapters" / "_static" / "dependencies.csv", dtype=str)
    whole = rows["License"].str.contains("Permission is hereby granted, free of charge")
    rows["License"] = rows["License"].mask(whole, "MIT License").replace("UNKNOWN", "none declared")
    return rows.to_dict("records")


def _pages(study: str) -> dict[str, list[dict]]:
    """Executed notebooks by section."""
    drawn = set(chapters.notebooks_of(study))
    return {
        section: [
            {"name": book.name, "title": book.title, "paper": book.paper}
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


def optional_json(study: str, name: str) -> dict | None:
    """results/<study>/<name>, or None where the study has none."""
    file = paths.results(study) / name
    return read_json(file, kind=dict) if file.is_file() else None


def training(study: str) -> dict | None:
    """Hours, devices and versions of the study's own training, or None where nothing was timed."""
    file = paths.results(study) / "timings.csv"
    if not file.is_file():
        return None
    timings = read_table(file, TIMINGS)
    return {
        "hours": timings["seconds"].sum() / 3600,
        "devices": in_order(timings["device"]),
        "versions": in_order(timings["versions"]),
        "runs": len(timings),
        "energy_known": int(timings["energy_kwh"].notna().sum()),
        "spikes": int(timings["loss_spikes"].sum()),
        "fastest": timings["samples_per_second"].max(),
        "slowest": timings["samples_per_second"].min(),
    }


def _title(study: str) -> str:
    from ..core.study import load_study

    return "The published study" if study == chapters.PUBLISHED else load_study(study).title


def short_title(study: str) -> str:
    return "published study" if study == chapters.PUBLISHED else f"{study} study"


def fill_in(template: Path, values: dict) -> str:
    """The chapter with its numbers. Raises UserError naming chapter and what it asks for in vain.

    Text of a study or table is shown as it stands, never read as HTML or MyST; only what is marked as `_Markup` is.
    """
    import jinja2

    folder = jinja2.FileSystemLoader(template.parent)
    environment = jinja2.Environment(
        loader=folder,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=_plain,
    )
    environment.filters.update(FILTERS)
    try:
        return environment.get_template(template.name).render(**values).replace(" %", "\u00a0%")
    except jinja2.TemplateNotFound:
        raise UserError("no such chapter", where=template, mend="restore it from git") from None
    except (jinja2.TemplateError, TypeError, ValueError) as error:  # a fact of another type than its place asks for
        raise UserError(
            f"cannot be filled in ({error})",
            where=template,
            mend="name a fact that src/clip_scaling/book/facts.py gathers",
        ) from None


class _Markup(str):
    """MyST of our own making, which may stand in a chapter as it is."""


_MARKUP = re.compile(r"[<>&`$*{}\[\]\\|]|(?<=:):|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^(?:[#=~%:!]|[-+](?=[-+ ]))")


def _plain(value: object) -> object:
    """A text in one line, with what HTML or MyST would obey as character references; numbers as they are."""
    if not isinstance(value, str) or isinstance(value, _Markup):
        return value
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", line)


def _power(value: float) -> str:
    """Two significant digits: 3,000, or 2.6 × 10¹²."""
    return number(float(f"{value:.2g}"), 2)


def _exponent(law: dict, decimals: int = 3) -> str:
    """The exponent with its 95 % interval, which stays on one line."""
    between = interval(law["alpha_low"], law["alpha_high"], decimals).replace(" ", "\u00a0")
    return with_interval(fixed(law["alpha"], decimals), between)


FILTERS = {
    "half_worth": repeats.half_worth,
    "count": lambda value: f"{int(value):,}",
    "pct": lambda value, digits=1: f"{minus(f'{100 * value:.{digits}f}')}\u00a0%",
    "num": lambda value, digits=2: fixed(value, digits),
    "power": _power,
    "exponent": _exponent,
    "named": named,
    "words": listed,
}

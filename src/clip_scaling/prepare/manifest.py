"""What the data are: counts, licences, families, what was left out and why."""

from collections import Counter
from collections.abc import Sequence

from .. import __version__
from ..core.study import Study
from .assemble import POOL, EvaluationSet, Rendered
from .duplicates import THRESHOLD
from .families import assign, distribution, families
from .fetch import EMOJIBASE, ICONIFY
from .icons import Collection


def manifest(
    study: Study, collection: Collection, rendered: Sequence[Rendered], sets: Sequence[EvaluationSet], failed: Counter, merges: int
) -> dict:
    """The data card's facts, as JSON."""
    place, members = assign(collection.sets)
    pool = [item for item in rendered if item.place == POOL]
    left_out = collection.left_out_icons + failed
    return {
        "study": study.study, "version": __version__, "image_size": study.prepare.image_size, "seed": study.prepare.seed,
        "source": {package.name: f"{package.version} {package.integrity}" for package in (ICONIFY, EMOJIBASE)}
        if study.prepare.source == "icons" else {"fixture": "data/fixture"},
        "pool": {
            "pairs": len(pool), "sets": len({item.icon.set for item in pool}),
            "pairs_by_family": dict(Counter(distribution(collection.sets[item.icon.set]) for item in pool)),
            "pairs_by_license": dict(Counter(collection.sets[item.icon.set].license for item in pool)),
            "base_names": len({item.base for item in pool}), "merges": merges,
        },
        "held_out": {
            "families": families(collection.sets), "place_of_set": place, "sets_by_evaluation": members,
            "icons": sum(item.place != POOL for item in rendered),
        },
        "evaluation": [
            {"name": made.name, "tuning": made.tuning, "classes": len(made.classnames),
             "images": {split: len(items) for split, items in made.splits.items()}}
            for made in sets
        ],
        "near_duplicate_cosine": THRESHOLD,
        "left_out_icons": {str(reason): count for reason, count in sorted(left_out.items())},
        "left_out_sets": {prefix: str(reason) for prefix, reason in sorted(collection.left_out_sets.items())},
    }


def attribution(collection: Collection) -> str:
    """Markdown that names each set, its author and licence, as the licences ask."""
    head = ("# Attribution\n\nThe images were rendered from these icon sets, as packaged by Iconify. Each drawing belongs to its "
            "author and stands under the licence named.\n\n| set | title | author | licence |\n|---|---|---|---|\n")
    rows = [f"| {one.prefix} | {_cell(one.title)} | {_cell(one.author)} | [{one.license}]({one.license_url}) |"
            for _, one in sorted(collection.sets.items())]
    return head + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

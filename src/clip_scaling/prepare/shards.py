"""A user's own webdataset shards: a tokenizer learnt on their captions, and the user's evaluation sets."""

import os
import shutil
import sys
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import sha256, write_json
from ..core.study import Study

_MOST_CAPTIONS = 1_000_000  # merges learnt on more hardly differ, and the trainer holds every word


def prepare_shards(study: Study, folder: Path) -> None:
    """Write tokenizer/, evaluation/ and manifest.json to `folder`. Raises UserError for shards or sets not there.

    Evaluation sets are hard links to the user's files where the file system allows it, else copies.
    """
    from itertools import islice

    from ..subset.reader import ShardReader
    from ..subset.users import shards_of
    from .vocabulary import write_merges

    shards = list(dict.fromkeys(path for entry in study.subset.subsets for path in shards_of(entry)))
    reader = ShardReader(shards, images=False)
    captions = (pair.caption.lower() for pair in islice(reader, _MOST_CAPTIONS))
    merges = write_merges(captions, study.prepare.vocabulary, folder / "tokenizer" / "bpe.txt.gz")
    if not reader.counts.pairs:
        raise UserError(f"hold no caption ({len(shards)} shards)", where=study.subset.subsets[0].shards,
                        mend="members are key.jpg and key.txt, those of a key side by side")
    named = _link_sets(study, folder / "evaluation")
    write_json(folder / "manifest.json", {
        "study": study.study, "source": {"shards": len(shards)}, "merges": merges, "evaluation": named,
        "captions_read": reader.counts.as_json(),
        "files": {"tokenizer/bpe.txt.gz": sha256(folder / "tokenizer" / "bpe.txt.gz")},
    })
    print(f"{merges} merges learnt on {reader.counts.pairs} captions; {len(named)} evaluation sets", file=sys.stderr)


def _link_sets(study: Study, target: Path) -> list[str]:
    """The sets that the study evaluates, from the folder that `prepare.evaluation` names."""
    section = study.evaluate
    wanted = sorted({*section.zeroshot, *section.retrieval, *section.linear_probe})
    if not wanted:
        return []
    if study.prepare.evaluation is None:
        raise UserError("evaluation sets are named, and no folder that holds them", where="prepare.evaluation",
                        mend="add `evaluation: path/of/sets` to the section prepare")
    source = paths.project_root() / Path(study.prepare.evaluation).expanduser()
    for name in wanted:
        if not (source / name).is_dir():
            raise UserError(f"no evaluation set {name!r}", where=source, mend="correct the section evaluate of the study file")
        shutil.copytree(source / name, target / name, copy_function=_link)
    return wanted


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)

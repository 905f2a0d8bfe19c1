"""A user's own webdataset shards: a tokenizer learnt on their captions, and the user's evaluation sets."""

import os
import shutil
import sys
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path, sha256, write_json
from ..core.study import Study
from ..subset.reader import refuse_odd_file

_MOST_CAPTIONS = 1_000_000  # merges learnt on more hardly differ, and the trainer holds every word
OPEN_CLIP_MERGES = 48_894  # asked for exactly: open_clip's own file, not merges learnt on the user's captions


def prepare_shards(study: Study, folder: Path) -> None:
    """Write tokenizer/, evaluation/ and manifest.json to `folder`. Raises UserError for shards or sets not there.

    Evaluation sets are hard links to the user's files where the file system allows it, else copies.
    """
    tokenizer = folder / "tokenizer" / "bpe.txt.gz"
    open_clips = study.prepare.vocabulary == OPEN_CLIP_MERGES
    about = _open_clip_tokenizer(tokenizer) if open_clips else _learn(study, tokenizer)
    named = _link_sets(study, folder / "evaluation")
    write_json(folder / "manifest.json", {
        "study": study.study, "evaluation": named, "files": {"tokenizer/bpe.txt.gz": sha256(tokenizer)}, **about,
    })
    print(f"{about['merges']} merges; {len(named)} evaluation sets", file=sys.stderr)


def _open_clip_tokenizer(path: Path) -> dict:
    """The merges of open_clip's own tokenizer, with which the paper's models were trained."""
    from importlib.util import find_spec

    spec = find_spec("open_clip")  # found, not imported: that would take seconds
    source = Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz" if spec else None
    if source is None or not source.is_file():
        raise UserError("open_clip's merges are not installed", where="prepare.vocabulary",
                        mend="pip install open_clip_torch")
    with atomic_path(path) as temporary:
        shutil.copyfile(source, temporary)
    return {"merges": OPEN_CLIP_MERGES, "source": {"tokenizer": "open_clip"}}


def _learn(study: Study, path: Path) -> dict:
    """Learn merges on captions: of shards through the reader, of pools at scale from their metadata."""
    from itertools import chain, islice

    from ..subset import at_scale_command
    from ..subset.reader import ShardReader
    from ..subset.users import shards_of
    from .vocabulary import write_merges

    entries = study.subset.subsets
    pools = [entry for entry in entries if at_scale_command.is_at_scale(entry)]
    shards = list(dict.fromkeys(path for entry in entries if entry not in pools for path in shards_of(entry)))
    reader = ShardReader(shards, images=False)
    captions = chain((pair.caption for pair in reader), at_scale_command.captions(pools, _MOST_CAPTIONS))
    lower = (caption.lower() for caption in islice(captions, _MOST_CAPTIONS))
    merges = write_merges(lower, study.prepare.vocabulary, path)
    if shards and not reader.counts.pairs:
        raise UserError(f"hold no caption ({len(shards)} shards)", where=entries[0].shards,
                        mend="members are key.jpg and key.txt, those of a key side by side")
    source = {"shards": len(shards), "pools": [entry.shards for entry in pools]}
    return {"merges": merges, "source": source, "captions_read": reader.counts.as_json()}


def _link_sets(study: Study, target: Path) -> list[str]:
    """The sets that the study evaluates, from the folder that `prepare.evaluation` names."""
    section = study.evaluate
    wanted = sorted({*section.zeroshot, *section.retrieval, *section.linear_probe})
    if not wanted:
        return []
    if study.prepare.evaluation is None:
        raise UserError("evaluation sets are named, and no folder that holds them", where="prepare.evaluation",
                        mend="add `evaluation: path/of/sets` to the section prepare")
    source = paths.named_by_user(study.prepare.evaluation)
    for name in wanted:
        if not (source / name).is_dir():
            raise UserError(f"no evaluation set {name!r}", where=source, mend="correct the section evaluate of the study file")
        linked = next((path for path in (source / name).rglob("*") if path.is_symlink() and path.is_dir()), None)
        if linked:  # it may lead round in a circle
            raise UserError("is a link to a folder", where=linked, mend="link its files, or the whole evaluation set")
        shutil.copytree(source / name, target / name, copy_function=_link)
    return wanted


def _link(source: str, target: str) -> None:
    refuse_odd_file(Path(source))  # a device would be copied without end
    try:
        os.link(os.path.realpath(source), target)  # of the file: a relative link leads elsewhere from the pool
    except OSError:  # another file system
        shutil.copy2(source, target)

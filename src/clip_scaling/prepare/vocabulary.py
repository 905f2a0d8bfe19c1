"""The tokenizer: byte-pair merges learnt on the captions, in the form that open_clip's own tokenizer reads."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from ..core.files import atomic_path


def write_merges(captions: Iterable[str], merges: int, path: Path) -> int:
    """Learn up to `merges` byte-pair merges and write them gzipped; returns how many there were to learn.

    open_clip's file holds 49,408 tokens, most of a tiny model's parameters; captions of icons need few.
    Its `SimpleTokenizer` takes this file as `bpe_path`: a line of heading, then a merge a line.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    # Captions are lower-case letters and digits: bytes and characters are the same here.
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[a-z]+|[0-9]"), behavior="removed", invert=True)
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    start = 2 * len(alphabet)  # each letter, and each at the end of a word
    trainer = trainers.BpeTrainer(
        vocab_size=start + merges, initial_alphabet=list(alphabet), end_of_word_suffix="</w>", show_progress=False, min_frequency=2,
    )
    tokenizer.train_from_iterator(captions, trainer)
    learnt = _merges(tokenizer)[:merges]
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        # Without a time the same merges are the same bytes.
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
            file.write(("#version: 0.2\n" + "\n".join(learnt)).encode())
    return len(learnt)


def _merges(tokenizer) -> list[str]:
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in found]

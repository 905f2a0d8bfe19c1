"""The tokenizer: byte-pair merges learnt on the captions, in the form that open_clip's own tokenizer reads."""

import gzip
import json
import re
import string
from collections.abc import Iterable
from pathlib import Path

from ..core.files import atomic_path

_LAST = re.compile(r"[a-z](?![a-z])")


def write_merges(captions: Iterable[str], merges: int, path: Path) -> int:
    """Learn up to `merges` byte-pair merges and write them gzipped; returns how many there were to learn.

    open_clip's file holds 49,408 tokens, most of a tiny model's parameters; captions of icons need few.
    Its `SimpleTokenizer` takes this file as `bpe_path`: a line of heading, then a merge a line.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    # Ends of words as letters of their own: with `end_of_word_suffix` the trainer numbers them in the order of a hash
    # table, and equal counts would be merged in another order each time.
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[a-z]*[A-Z]|[0-9]"), behavior="removed", invert=True)
    alphabet = [*string.ascii_lowercase, *string.ascii_uppercase, *string.digits]
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + merges, initial_alphabet=alphabet, show_progress=False, min_frequency=2)
    tokenizer.train_from_iterator((_LAST.sub(lambda last: last[0].upper(), text) for text in captions), trainer)
    learnt = [" ".join(map(_with_suffix, pair)) for pair in _merges(tokenizer)[:merges]]
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        # Without a time the same merges are the same bytes.
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
            file.write(("#version: 0.2\n" + "\n".join(learnt)).encode())
    return len(learnt)


def _with_suffix(token: str) -> str:
    """A token of ours in open_clip's spelling: `homE` is `home</w>`."""
    ends = token[-1].isupper() or token[-1].isdigit()
    return token.lower() + "</w>" if ends else token


def _merges(tokenizer) -> list[tuple[str, str]]:
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in found]

"""What torchrun starts: open_clip_train, with our model configurations and shards, made fit for a pipeline.

`python -m clip_scaling.train.cluster.worker --manifest M --model-config C --attempts A -- ARGUMENTS OF OPEN_CLIP_TRAIN`

Around open_clip_train 3.3 it changes this, and nothing else: torchvision is imported through our guard; the model
configuration is registered; shards come from a subset's manifest (with its key filter, if it has one); samples are
shuffled from the seed, not from process number and time; pairs that are passed over are counted; several processes can
train on CPUs; a checkpoint is written beside and renamed, and not at all if its weights are not finite. It ends in exit
code 1, with a sentence, where a shard is not that of its manifest, or where the trainer would train on other devices than
asked for, wait for ever on shards without a usable pair, or find a log folder in its way.
"""

import argparse
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ...core.errors import UserError
from ...subset.manifests import checkable, read_manifest, refuse_other_shard
from ..openclip import open_clip
from .arguments import SAID
from .attempts import Attempts
from .pairs import Tally, count_pairs, note_epochs


def main(argv: list[str] | None = None) -> int:
    """Train as told; 0 on success, 1 where open_clip_train refuses or its weights are not finite."""
    options, rest = _parse(sys.argv[1:] if argv is None else argv)
    from open_clip_train import data
    from open_clip_train import main as trainer

    try:
        return _train(options, rest, data, trainer)
    except UserError as error:
        # From a loader process, torch brings it with that process's traceback before it.
        sentence = error.what.strip().splitlines()[-1].rpartition("UserError: ")[2] if "Traceback" in error.what \
            else error.sentence
        print(f"{SAID}{sentence}", file=sys.stderr)
        return 1


def _train(options: argparse.Namespace, rest: list[str], data, trainer) -> int:
    manifest = read_manifest(options.manifest)
    shards = shard_paths(manifest, options.manifest, options.allow_pipe)
    _expect_devices(rest)
    expect_shards_of_their_manifest(manifest, shards)
    open_clip.add_model_config(options.model_config)
    _open_through_fsspec()
    _shuffle_from_the_seed(data)
    _decode_pairs_alone(data)
    tally, drawn = Tally(), drawn_pairs(manifest, shards, options.manifest.parent)
    stated = {name: entry.get("samples") for name, entry in zip(shards, manifest["shards"], strict=True)}
    count_pairs(data, tally, stated, drawn)
    note_epochs(trainer, tally, options.attempts.parent / "pairs")
    _keep_drawn_pairs(data, drawn)
    _give_up_without_pairs(data, len(shards), options.manifest)
    _let_cpus_train_together()
    attempts = Attempts(options.attempts) if int(os.environ.get("RANK", 0)) == 0 else None
    _save_whole_or_not_at_all(trainer, attempts)
    if attempts:
        attempts.begin()
    # The list is set here: 200,000 paths are more than a command line holds.
    if trainer.main([*rest, "--train-data", "::".join(shards)]) == -1:
        raise UserError("open_clip_train found a log folder in its way", mend="remove it, and train again")
    return 0


def _expect_devices(arguments: list[str]) -> None:
    """The trainer would turn to the CPU without a word."""
    import torch

    wanted, found = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
    if ("--device", "cuda") in zip(arguments, arguments[1:], strict=False) and found < wanted:
        raise UserError(f"{found} GPUs on this machine, {wanted} asked for", where="train.cluster.device",
                        mend="ask for a partition with GPUs, lower gpus_per_node, or train on the CPU (device: cpu)")


def expect_shards_of_their_manifest(manifest: dict, shards: list[str]) -> None:
    """Raise UserError where a shard of this rank's share is not that of its manifest.

    A remote shard is read as it comes: its pairs are counted, its bytes are not checked.
    """
    rank, ranks = (int(os.environ.get(name, alone)) for name, alone in (("RANK", 0), ("WORLD_SIZE", 1)))
    stated = [(name, entry["sha256"]) for name, entry in zip(shards, manifest["shards"], strict=True) if checkable(entry)]
    if rank == 0 and len(stated) < len(shards):
        print(f"{len(shards) - len(stated)} of {len(shards)} shards are not checked: remote, or without a SHA-256 in the "
              "manifest", file=sys.stderr)
    for name, sha256 in stated[rank::ranks]:
        refuse_other_shard(Path(name), sha256, mend="fetch or copy it again, or draw the subset again")


def _parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(prog="clip_scaling.train.cluster.worker", description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="JSON manifest of a subset")
    parser.add_argument("--model-config", type=Path, required=True, help="open_clip model configuration, NAME.json")
    parser.add_argument("--attempts", type=Path, required=True, help="where to note when checkpoints were written")
    parser.add_argument("--allow-pipe", action="store_true", help="run the commands of `pipe:` shards")
    return parser.parse_args(argv[:cut]), argv[cut + 1:]


def shard_paths(manifest: dict, path: Path, allow_pipe: bool) -> list[str]:
    """Paths or URLs of a manifest's shards, relative ones taken from the manifest's folder. Raises UserError."""
    from ...subset.at_scale_remote import is_remote, refuse_pipe

    found = []
    for entry in manifest["shards"]:
        name = entry["path"]
        refuse_pipe(name, allow_pipe)
        beside = path.parent / name
        found.append(name if is_remote(name) or not beside.is_file() else str(beside))
    if not found:
        raise UserError("names no shards", where=path, mend="draw the subset again")
    return found


def _open_through_fsspec() -> None:
    from webdataset.gopen import gopen_schemes

    from ...subset.at_scale_remote import open_shard

    for protocol in ("http", "https", "s3", "s3a", "gs", "gcs", "abfs", "az", "hdfs", "memory"):
        gopen_schemes[protocol] = lambda url, mode="rb", bufsize=8192, **_: open_shard(url)


def _shuffle_from_the_seed(data) -> None:
    """webdataset's own shuffle draws its seed from process number and time; the trainer's other shuffle does not."""

    def shuffle(bufsize=1000, initial=100, **_):
        return data.detshuffle2(bufsize, initial, seed=-1, epoch=-1)  # -1: the loader worker's seed

    data.wds.shuffle = shuffle


def _decode_pairs_alone(data) -> None:
    """webdataset's decoder unpickles members .pyd and .pickle and inflates .gz: a shard could run what it likes."""
    data.wds.decode = functools.partial(data.wds.decode, only=["jpg", "png", "jpeg", "webp", "txt"])


def drawn_pairs(manifest: dict, shards: list[str], folder: Path) -> Callable[[dict], bool]:
    """Whether a pair of these shards is of the subset: all are, or those whose key was drawn."""
    if (manifest.get("selection") or {}).get("by") != "keys":
        return lambda sample: True
    from ...subset.at_scale import kept_keys

    entries = dict(zip(shards, manifest["shards"], strict=True))

    @functools.lru_cache(maxsize=64)  # pairs of several shards arrive mixed by the shuffle
    def keys(url: str) -> frozenset[str]:
        return kept_keys(folder / entries[url]["keys"], entries[url]["path"])

    return lambda sample: sample["__key__"].rpartition("/")[2] in keys(sample["__url__"])


def _keep_drawn_pairs(data, drawn: Callable[[dict], bool]) -> None:
    """Pass over pairs that the subset did not draw."""
    whole = data.filter_no_caption_or_no_image
    data.filter_no_caption_or_no_image = lambda sample: whole(sample) and drawn(sample)


def _give_up_without_pairs(data, shards: int, manifest: Path) -> None:
    """The trainer passes over what it cannot read, with a warning: where all is so, it would wait for ever.

    A loader gives up once it has opened as many shards as there are since the last pair that reached a batch, and none
    of them held a pair that could be used, or more than the shuffle holds without one that could be decoded.
    """
    read, to_tuple = data.tarfile_to_samples_nothrow, data.wds.to_tuple
    opened = usable = 0

    def counted(source):
        nonlocal opened
        for shard in source:
            if opened >= shards and not 0 < usable <= data._SAMPLE_SHUFFLE_SIZE:
                raise UserError(f"no usable pair in {opened} shards in a row, the last of them {shard['url']}",
                                where=manifest, mend="the warnings above say why; mend or fetch the shards again")
            opened += 1
            yield shard

    def samples(source):
        nonlocal usable
        for sample in read(counted(source)):
            usable += data.filter_no_caption_or_no_image(sample)
            yield sample

    def tuples(*names):
        def reach_a_batch(source):
            nonlocal opened, usable
            for pair in to_tuple(*names)(source):
                opened = usable = 0
                yield pair

        return reach_a_batch

    data.tarfile_to_samples_nothrow, data.wds.to_tuple = samples, tuples


def _let_cpus_train_together() -> None:
    """open_clip_train 3.3 hands a device to DistributedDataParallel, which torch refuses for CPUs."""
    import torch

    class OnItsDevice(torch.nn.parallel.DistributedDataParallel):
        def __init__(self, module, device_ids=None, **options):
            if next(module.parameters()).device.type == "cpu":
                device_ids = None
            super().__init__(module, device_ids=device_ids, **options)

    torch.nn.parallel.DistributedDataParallel = OnItsDevice


def _save_whole_or_not_at_all(trainer, attempts: Attempts | None) -> None:
    """Checkpoints are renamed into place: one cut off by the end of the allocation would stop every resumption."""
    import torch

    write = torch.save

    def save(checkpoint: dict, path: str, *args, **options) -> None:
        bad = [name for name, value in checkpoint["state_dict"].items()
               if value.is_floating_point() and not torch.isfinite(value).all()]
        if bad:
            raise SystemExit(f"clip-scaling train: weights are not finite after epoch {checkpoint['epoch']} ({bad[0]})")
        write(checkpoint, f"{path}.part", *args, **options)
        with open(f"{path}.part", "rb") as file:
            os.fsync(file.fileno())
        os.replace(f"{path}.part", path)
        if attempts:
            attempts.note_checkpoint(checkpoint["epoch"])

    class Torch:
        """The trainer's view of torch: everything of torch's, but `save`."""

        def __getattr__(self, name):
            return getattr(torch, name)

    view = Torch()
    view.save = save
    trainer.torch = view


if __name__ == "__main__":
    sys.exit(main())

"""From open_clip_train's last checkpoint to the folder that every other stage reads."""

import functools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ...core import paths
from ...core.errors import UserError
from ...core.files import digest, sha256, write_json, write_text
from ...core.study import Study
from ...subset.at_scale_remote import is_remote, open_shard, refuse_pipe, scheme, told_in_a_sentence
from ...subset.manifests import checkable, read_manifest
from .. import finished
from ..compute import gmacs
from ..models import architecture, build_model, count_parameters, load_tokenizer, model_config, save_model
from .arguments import Places, open_clip_arguments
from .attempts import read_diary
from .pairs import Account, account, read_account
from .plan import Plan

_PAIRS = "pairs.json"
RECIPE = 1  # goes up whenever the same arguments would lead to other weights


@dataclass(frozen=True)
class Prepared:
    """A plan with its data: `digest` names the weights it leads to, `places` where its trainer works."""

    plan: Plan
    config: dict
    tokenizer: Path
    digest: str
    places: Places
    unique_samples: int

    def __getattr__(self, name: str):
        if name in ("study", "run", "family", "subset", "architecture"):  # what `finished.publish` asks for
            return getattr(self.plan, name)
        raise AttributeError(name)

    @property
    def checkpoint(self) -> Path:
        return self.places.folder / self.plan.run / "checkpoints" / f"epoch_{self.plan.epochs}.pt"


def prepare(study: Study, plan: Plan, *, given: str | None = None) -> Prepared:
    """Find a plan's manifest and tokenizer and write its model configuration. Raises UserError where one is missing.

    `given`: the name or file of the study, as the user wrote it, for what a message says.
    """
    manifest = (paths.subsets(study.study) / f"{plan.subset}.json").resolve()
    mend = f"draw it: `clip-scaling subset --study {given or study.study}`, or --at-scale for a pool of your own"
    if not manifest.is_file():
        raise UserError(f"subset {plan.subset} is not drawn", where=manifest, mend=mend)
    content = read_manifest(manifest, mend)
    _enough_shards(study, plan, len(content["shards"]), manifest)
    tokenizer = _tokenizer(study, content, manifest, mend)
    config = architecture(plan.architecture)
    config = model_config(config, load_tokenizer(tokenizer, config["text_cfg"].get("context_length", 77)))
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": str(tokenizer)}
    asked = open_clip_arguments(study, plan, Path("logs"))
    named = digest({"recipe": RECIPE, "arguments": [word for word in asked if word != plan.run], "gpus": plan.gpus,
                    "manifest": sha256(manifest), "tokenizer": sha256(tokenizer),
                    "model": architecture(plan.architecture)})
    folder = (paths.cache() / "cluster" / named).resolve()
    model_file = folder / "model" / f"{plan.architecture}.json"
    write_json(model_file, config)
    return Prepared(plan, config, tokenizer, named, Places(manifest, model_file, folder), content["samples"])


def _tokenizer(study: Study, manifest: dict, path: Path, mend: str) -> Path:
    named = manifest.get("tokenizer")
    folders = (path.parent, paths.project_root())
    candidates = [folder / named for folder in folders] if named else []
    candidates.append(paths.pool(study.study) / "tokenizer" / "bpe.txt.gz")
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise UserError("names no tokenizer that is there", where=path, mend=mend)


def _enough_shards(study: Study, plan: Plan, shards: int, manifest: Path) -> None:
    """Without replacement, the trainer deals whole shards to loader workers: each needs one."""
    loaders = max(1, study.train.cluster.workers) * plan.gpus
    if not plan.resampled and shards < loaders:
        raise UserError(
            f"{shards} shards for {loaders} loader workers", where=manifest,
            mend=f"set train.cluster.workers to {shards // plan.gpus} or less"
            if shards >= plan.gpus else "take fewer GPUs, or smaller shards",
        )


@functools.lru_cache  # many runs share a manifest, and a parallel file system is slow to look
def expect_shards(path: Path, allow_pipe: bool) -> None:
    """Raise UserError unless what a run on the manifest `path` reads is there.

    Shell commands are allowed or not there, files are where they were, and the first remote shard can be read.
    """
    shards = [entry["path"] for entry in read_manifest(path)["shards"]]
    remote = [name for name in shards if is_remote(name)]
    gone = [name for name in shards if not is_remote(name) and not (path.parent / name).is_file()]
    for name in remote:
        refuse_pipe(name, allow_pipe)
    if gone:
        raise UserError(f"{len(gone)} of {len(shards)} shards are not there, such as {gone[0]}",
                        where=path, mend="put them back, or draw the subset again")
    for name in [name for name in remote if scheme(name) != "pipe"][:1]:
        with open_shard(name) as file, told_in_a_sentence(name):
            file.read(512)


def is_finished(job: Prepared) -> bool:
    return finished.is_finished(job)


def is_trained(job: Prepared) -> bool:
    return job.checkpoint.is_file()


def collect(study: Study, job: Prepared) -> Path:
    """Turn checkpoint and logs into model.safetensors, model.json, loss.csv, pairs.json, record.json, timing.json.

    These are published, and checkpoints removed once kept. Raises UserError where the checkpoint is broken or of another
    architecture.
    """
    if not is_finished(job):
        model = _model(job)
        target = finished.folder(job)
        save_model(model, job.config, job.tokenizer, target)
        write_text(target / "loss.csv", _loss_curve(job.places.folder / job.run / "out.log"))
        write_json(target / _PAIRS, _account(job).as_json())
        write_json(target / "timing.json", _timing(job))
        write_json(target / "record.json", _record(job, model))  # last: a folder with a record is a finished run
        shutil.rmtree(job.checkpoint.parent, ignore_errors=True)
    return finished.publish(job)


def pairs_of(job: Prepared) -> Account | None:
    """What a finished run read and passed over; None where that was not counted."""
    return read_account(finished.folder(job) / _PAIRS)


def _account(job: Prepared) -> Account:
    shards = read_manifest(job.places.manifest)["shards"]
    return account(job.places.folder / "pairs", ranks=job.plan.gpus, epochs=job.plan.epochs, shards=len(shards),
                   shards_checked=sum(map(checkable, shards)))


def _model(job: Prepared):
    import torch

    mend = f"remove {job.checkpoint} and train again"
    try:
        # weights_only: the file is a pickle, and this reads nothing but tensors and plain values from it.
        states = torch.load(job.checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        model = build_model(job.config)
        model.load_state_dict({name.removeprefix("module."): value.float() for name, value in states.items()})
    except (RuntimeError, KeyError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"holds no model ({str(error).splitlines()[0]})", where=job.checkpoint, mend=mend) from None
    except Exception as error:  # noqa: BLE001 - pickle.UnpicklingError, without importing pickle
        raise UserError(f"is no checkpoint ({type(error).__name__})", where=job.checkpoint, mend=mend) from None
    return model


def _record(job: Prepared, model) -> dict:
    plan = job.plan
    return {
        "study": plan.study, "run": plan.run, "family": plan.family, "subset": plan.subset,
        "architecture": plan.architecture, "parameters": count_parameters(model),
        "gmacs_per_sample": gmacs(job.config), "unique_samples": job.unique_samples,
        "samples_seen": plan.samples_seen, "batch_size": plan.batch, "learning_rate": plan.learning_rate,
        "warmup_steps": plan.warmup_steps, "precision": plan.precision, "seed": plan.seed, "status": "finished",
        "source": "train (open_clip_train)",
    }


def _timing(job: Prepared) -> dict:
    diary = read_diary(job.places.folder / "attempts.jsonl")
    return {
        "study": job.plan.study, "run": job.plan.run, "seconds": round(diary.seconds, 3),
        "samples_per_second": round(job.plan.samples_seen / diary.seconds, 1) if diary.seconds else None,
        "device": f"{job.plan.gpus} x {diary.device}", "versions": diary.versions, "energy_kwh": None,
        "loss_spikes": None, "finished_at": diary.finished_at,
    }


_LOGGED = re.compile(r"Train Epoch: (\d+) \[\s*(\d+)/(\d+) .* Loss: (\S+) ")


def _loss_curve(log: Path) -> str:
    """CSV of the loss as open_clip_train logged it, every hundred steps; of what two attempts saw, the later."""
    losses = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else ():
        if found := _LOGGED.search(line):
            epoch, seen, size = map(int, found.groups()[:3])
            losses[epoch * size + seen] = float(found[4])
    return "samples_seen,loss\n" + "".join(f"{seen},{loss:.5f}\n" for seen, loss in sorted(losses.items()))

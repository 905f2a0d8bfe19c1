"""What one training run is: everything that its weights depend on, and nothing else."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import digest, sha256
from ..core.study import Run, Study
from ..subset.manifests import read_manifest
from .models import architecture

RECIPE = 2  # goes up whenever the same specification would give other weights


@dataclass(frozen=True)
class Shard:
    """A webdataset shard of a subset: its file, the hash of its bytes and its number of pairs."""

    path: str
    sha256: str
    samples: int


@dataclass(frozen=True)
class RunSpec:
    """A run, complete: `digest` names the weights that it leads to on one machine and one version."""

    study: str
    run: str
    family: str
    subset: str
    architecture: str
    config: dict
    shards: tuple[Shard, ...]
    tokenizer: str
    tokenizer_sha256: str
    samples_seen: int
    batch_size: int
    seed: int
    learning_rate: float
    token_embedding_lr_scale: float
    warmup_steps: int
    precision: str
    weight_decay: float
    beta1: float
    beta2: float
    gradient_clip: float | None
    augment_shift: int
    normalisation: str

    @property
    def steps(self) -> int:
        return self.samples_seen // self.batch_size

    @property
    def unique_samples(self) -> int:
        return sum(shard.samples for shard in self.shards)

    @property
    def digest(self) -> str:
        """Hex digest over content: names, paths and dates of files stay out."""
        content = dataclasses.asdict(self)
        for name in ("study", "run", "family", "subset", "architecture", "tokenizer"):
            del content[name]
        content["shards"] = [[shard.sha256, shard.samples] for shard in self.shards]
        return digest({"recipe": RECIPE, **content})


def run_specs(study: Study, names: list[str] | None = None) -> list[RunSpec]:
    """The study's runs, or those named. Raises UserError for an unknown run or a subset that is not there."""
    runs = study.train.runs
    if names:
        known = {run.run_id: run for run in runs}
        for name in names:
            if name not in known:
                raise UserError(f"unknown run {name!r} in study {study.study}", mend=f"known: {', '.join(known)}")
        runs = [known[name] for name in names]
    return [run_spec(study, run) for run in runs]


def run_spec(study: Study, run: Run) -> RunSpec:
    """A cell of the grid with the study's settings filled in. Raises UserError."""
    train, entry = study.train, study.architecture_named(run.architecture)
    batch = run.batch_size or train.batch_size
    if run.samples_seen % batch:
        raise UserError(
            f"run {run.run_id}: the batch {batch} does not divide {run.samples_seen} samples seen",
            mend=f"take a multiple such as {max(1, run.samples_seen // batch) * batch}",
        )
    warmup = run.warmup_steps
    data = load_subset(study.study, run.subset)
    return RunSpec(
        study=study.study, run=run.run_id, family=study.subset_named(run.subset).family, subset=run.subset,
        architecture=run.architecture, config=architecture(run.architecture), **data,
        samples_seen=run.samples_seen, batch_size=batch, seed=run.seed,
        learning_rate=run.learning_rate or entry.learning_rate,
        token_embedding_lr_scale=entry.token_embedding_lr_scale,
        warmup_steps=round(train.warmup_fraction * (run.samples_seen // batch)) if warmup is None else warmup,
        precision=run.precision or train.precision, weight_decay=train.weight_decay,
        beta1=train.beta1, beta2=train.beta2, gradient_clip=train.gradient_clip, augment_shift=train.augment_shift,
        normalisation="open_clip" if study.prepare.source == "shards" else "ink",
    )


def load_subset(study: str, name: str) -> dict:
    """Shards and tokenizer of a subset, from its manifest. Raises UserError where `subset` has not run."""
    folder = paths.subsets(study)
    manifest = folder / f"{name}.json"
    mend = f"run `clip-scaling subset --study {study}`"
    try:
        content = read_manifest(manifest, mend)
        shards = tuple(
            Shard(str(_shard(shard, folder)), shard["sha256"], shard["samples"]) for shard in content["shards"]
        )
        tokenizer = _found(content["tokenizer"], folder)
        if any(None in (shard.sha256, shard.samples) for shard in shards):
            raise ValueError("a shard states no sha256 or number of samples")
    except FileNotFoundError as error:
        what = "no such subset" if error.filename == str(manifest) else "names a file that is not there"
        raise UserError(f"{what} ({error.filename})", where=manifest, mend=mend) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"is no manifest of a subset ({error!r})", where=manifest, mend=mend) from None
    if not shards or sum(shard.samples for shard in shards) < 1:
        raise UserError("holds no sample", where=manifest, mend=mend)
    return {"shards": shards, "tokenizer": str(tokenizer), "tokenizer_sha256": sha256(tokenizer)}


def _shard(entry: dict, folder: Path) -> Path:
    """A shard's tar; one that was left behind is not missed where its packed images have travelled."""
    path = folder / entry["path"]
    return path if any((paths.cache() / "packed").glob(f"{entry['sha256']}-*.npy")) else _found(entry["path"], folder)


def _found(name: str, folder: Path) -> Path:
    """A file that a manifest names: beside the manifest, or from the project's root."""
    for path in (folder / name, paths.project_root() / name):
        if path.is_file():
            return path
    raise FileNotFoundError(2, "no such file", str(folder / name))

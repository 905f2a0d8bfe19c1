"""A study file: what is prepared, subset, trained, evaluated and fitted. One section a stage, bearing its name."""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from . import paths
from .errors import UserError

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=_NAME)]
Whole = Annotated[int, Field(ge=1, strict=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prepare(_Section):
    """Where image-text pairs come from: `icons` (npm package), `fixture` (in the repository) or `shards` (the user's)."""

    source: Literal["icons", "fixture", "shards"]
    image_size: Whole
    vocabulary: Whole = Field(description="merges of the byte-pair encoding learnt on the captions")
    seed: Annotated[int, Field(ge=0, strict=True)]
    evaluation: str | None = Field(None, description="source `shards`: folder of sets in CLIP_benchmark's layout")


class SubsetEntry(_Section):
    """A pre-training subset: `samples` pairs of `family`, nested in larger subsets of the same family."""

    name: Name
    family: Name
    samples: Whole
    shards: str | None = Field(None, description="source `shards`: path or brace pattern of the tars")
    unique_samples: Whole | None = Field(None, description="engine `cluster`: as published")


class Subset(_Section):
    shard_samples: Whole
    subsets: list[SubsetEntry]


class ArchitectureEntry(_Section):
    """A model configuration and the learning rate that `clip-scaling tune` chose for it."""

    name: Name
    learning_rate: Annotated[float, Field(gt=0)]
    token_embedding_lr_scale: Annotated[float, Field(gt=0)] = 1.0


class Run(_Section):
    """A cell of the grid. Fields left empty are the study's."""

    architecture: Name
    subset: Name
    samples_seen: Whole
    seed: Annotated[int, Field(ge=0, strict=True)] = 0
    batch_size: Whole | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    warmup_steps: Annotated[int, Field(ge=0, strict=True)] | None = None
    precision: str | None = None
    name: Name | None = None
    gpus: Whole | None = Field(None, description="engine `cluster`")
    samples_per_epoch: Whole | None = Field(None, description="engine `cluster`")
    epochs: Whole | None = Field(None, description="engine `cluster`")
    samples_per_second: Annotated[float, Field(gt=0)] | None = Field(
        None, description="engine `cluster`: throughput of all GPUs, measured; a dry run reckons hours from it"
    )

    @property
    def run_id(self) -> str:
        return self.name or f"{self.architecture}_{self.subset}_{self.samples_seen}_s{self.seed}"


class Cluster(_Section):
    """Engine `cluster`: what a SLURM site is asked for, and how open_clip's trainer is set up on it."""

    gpus_per_node: Whole = 4
    workers: Annotated[int, Field(ge=0, strict=True)] = Field(8, description="loader processes a GPU")
    cpus_per_task: Whole | None = Field(None, description="processors a node; empty: workers + 1 for each GPU")
    time_limit_minutes: Whole = Field(1440, description="a run that needs longer is requeued and goes on")
    requeues: Annotated[int, Field(ge=0, strict=True)] = Field(100, description="time limits that a run may meet")
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    memory_gb: Whole | None = Field(None, description="memory a node; empty: the site's default")
    setup: list[str] = Field(default=[], description="shell lines before each run, such as `module load`")
    watts_per_gpu: Annotated[float, Field(gt=0)] = Field(350.0, description="paper, Table 18")
    device: Literal["cuda", "cpu"] = "cuda"
    checkpoint_activations: list[Name] = Field(default=[], description="architectures short of memory")


class Train(_Section):
    engine: Literal["embedded", "cluster"]
    batch_size: Whole
    precision: Literal["fp32", "bf16", "amp", "amp_bf16", "amp_bfloat16"]
    warmup_fraction: Annotated[float, Field(ge=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    gradient_clip: Annotated[float, Field(gt=0)] | None = Field(description="null: none, engine `cluster` only")
    augment_shift: Annotated[int, Field(ge=0, strict=True)] = Field(description="random shift in pixels")
    architectures: list[ArchitectureEntry]
    runs: list[Run]
    cluster: Cluster = Field(default_factory=Cluster, description="engine `cluster`")


class FineTune(_Section):
    """Which runs are fine-tuned and patched (none: an empty list), and for how long."""

    runs: list[Name]
    iterations: Whole
    batch_size: Whole
    task: Name | None = Field(None, description="set with a train split to fine-tune on")
    shifts: list[Name] = Field([], description="sets that share classes with the task")
    joint: list[Name] = Field([], description="sets with train splits, fine-tuned on together and patched")
    control: Name | None = Field(None, description="set whose zero-shot accuracy patching keeps")


class Evaluate(_Section):
    zeroshot: list[Name] = Field(description="classification sets")
    retrieval: list[Name] = Field(description="retrieval sets")
    linear_probe: list[Name] = Field(description="sets with a train split")
    fine_tune: FineTune


class Target(_Section):
    task: str
    dataset: str
    metric: str
    split: str = "test"


class Fit(_Section):
    forms: list[str]
    bootstrap: Whole
    targets: list[Target] = Field(description="empty: every score")


class Study(_Section):
    study: Name
    title: str
    prepare: Prepare
    subset: Subset
    train: Train
    evaluate: Evaluate
    fit: Fit

    def subset_named(self, name: str) -> SubsetEntry:
        return next(entry for entry in self.subset.subsets if entry.name == name)

    def architecture_named(self, name: str) -> ArchitectureEntry:
        return next(entry for entry in self.train.architectures if entry.name == name)

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if self.train.engine == "embedded" and self.train.gradient_clip is None:
            raise ValueError("train.gradient_clip: engine `embedded` clips gradients; give a number such as 1.0")
        _unique([entry.name for entry in self.subset.subsets], "subset")
        _unique([entry.name for entry in self.train.architectures], "architecture")
        _unique([run.run_id for run in self.train.runs], "run")
        subsets = {entry.name for entry in self.subset.subsets}
        architectures = {entry.name for entry in self.train.architectures}
        for run in self.train.runs:
            _known(run.subset, subsets, "subset", run)
            _known(run.architecture, architectures, "architecture", run)
            batch = run.batch_size or self.train.batch_size
            # The paper's own runs end in a part of a batch; our engine keeps to an exact budget.
            if self.train.engine == "embedded" and run.samples_seen % batch:
                raise ValueError(
                    f"run {run.run_id}: {run.samples_seen} samples seen is no multiple of the batch {batch}; "
                    f"take {run.samples_seen // batch * batch or batch}"
                )
        if self.evaluate.fine_tune.runs and not self.evaluate.fine_tune.task:
            raise ValueError("evaluate.fine_tune names runs and no task to fine-tune them on")
        for name in self.evaluate.fine_tune.runs:
            _known(name, {run.run_id for run in self.train.runs}, "fine_tune run", "evaluate.fine_tune")
        return self


def _unique(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} {name} stands twice")


def _known(name: str, known: set[str], what: str, where: object) -> None:
    if name not in known:
        place = where.run_id if isinstance(where, Run) else where
        raise ValueError(f"unknown {what} {name!r} in {place}; known: {', '.join(sorted(known))}")


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases (a few bytes could ask for gigabytes) and without repeated keys."""

    def compose_node(self, parent, index):  # noqa: D102 - yaml's name
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):  # noqa: D102 - yaml's name
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> object:
    """Read YAML without aliases, tags and repeated keys. Raises UserError."""
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_PlainLoader)
    except FileNotFoundError:
        raise UserError("no such file", where=path, mend="name an existing YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=path, mend="save it as readable UTF-8 text") from None
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"is no valid YAML ({error})", where=path, mend="mend the named line") from None


def is_name(word: str) -> bool:
    """Whether a study, run or subset may be called so: no name leads out of its folder."""
    return re.fullmatch(_NAME, word) is not None


def study_path(name_or_path: str) -> Path:
    """The file of a study named (`cpu`) or given as a path (`my.yaml`). Raises UserError for an unknown one.

    A name is that of a file in studies/, or of the study that params.yaml selects, wherever its file is.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        path = path if path.is_absolute() or path.is_file() else paths.project_root() / path
    else:
        path = paths.studies() / f"{name_or_path}.yaml"
        path = path if path.is_file() else _selected(name_or_path) or path
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in paths.studies().glob("*.yaml")))
        raise UserError(f"unknown study {name_or_path!r}", mend=f"known: {known}; or give the path of a study file")
    return path


def _selected(name: str) -> Path | None:
    """The file that params.yaml gives for its own study, if that is called `name`."""
    parameters = paths.project_root() / "params.yaml"
    content = load_yaml(parameters) if parameters.is_file() else {}
    if not isinstance(content, dict) or content.get("study") != name or not isinstance(content.get("study_file"), str):
        return None
    return paths.project_root() / content["study_file"]


def load_study(name_or_path: str) -> Study:
    """Read and check a study by name or path. Raises UserError naming the first fault, where and how to mend it."""
    path = study_path(name_or_path)
    content = load_yaml(path)
    if not isinstance(content, dict):
        raise UserError("is no mapping of sections", where=path, mend="see studies/cpu.yaml for the form")
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "study"
        raise UserError(f"{place}: {first['msg']}", where=path, mend="see studies/cpu.yaml for the form") from None

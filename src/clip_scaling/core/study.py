"""A study file: what is prepared, subset, trained, evaluated and fitted. One section a stage, bearing its name."""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from . import paths
from .errors import UserError, short, shortlist

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=_NAME)]
Title = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\pC\pZ<>{}`\[\]\\$|]([^\pC<>{}`\[\]\\$|]*[^\pC\pZ<>{}`\[\]\\$|])?$")]
Text = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\pC]*$")]  # a path, a name at a site, a line of a shell
Whole = Annotated[int, Field(ge=1, le=10**15)]
Count = Annotated[int, Field(ge=1, le=10**6)]
Batch = Annotated[int, Field(ge=1, le=10**8)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Steps = Annotated[int, Field(ge=0, le=10**9)]
Positive = Annotated[float, Field(gt=0, le=1e30)]
Precision = Literal["fp32", "bf16", "amp", "amp_bf16", "amp_bfloat16"]

_HALVES = re.compile("[\ud800-\udfff]")
_LARGEST = 256 << 10  # bytes of a study file
RESERVED = ("published", "fixture")  # folders of data/ and results/ that are no study of a file


class _Section(BaseModel):
    # Strict: neither text nor true is a number, and no number is text.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Prepare(_Section):
    """Where image-text pairs come from: `icons` (npm package), `fixture` (in the repository) or `shards` (the user's)."""

    source: Literal["icons", "fixture", "shards"]
    image_size: Annotated[int, Field(ge=4, le=4096)]
    vocabulary: Count = Field(description="merges of the byte-pair encoding learnt on the captions")
    seed: Seed
    evaluation: Text | None = Field(None, description="source `shards`: folder of sets in CLIP_benchmark's layout")


class SubsetEntry(_Section):
    """A pre-training subset: `samples` pairs of `family`, nested in larger subsets of the same family."""

    name: Name
    family: Name
    samples: Whole
    shards: Text | None = Field(None, description="source `shards`: path or brace pattern of the tars")
    unique_samples: Whole | None = Field(None, description="engine `cluster`: as published")


class Subset(_Section):
    shard_samples: Annotated[int, Field(ge=1, le=10**8)]
    subsets: Annotated[list[SubsetEntry], Field(max_length=10_000)]


class ArchitectureEntry(_Section):
    """A model configuration and the learning rate that `clip-scaling tune` chose for it."""

    name: Name
    learning_rate: Positive
    token_embedding_lr_scale: Positive = 1.0


class Run(_Section):
    """A cell of the grid. Fields left empty are the study's."""

    architecture: Name
    subset: Name
    samples_seen: Whole
    seed: Seed = 0
    batch_size: Batch | None = None
    learning_rate: Positive | None = None
    warmup_steps: Steps | None = None
    precision: Precision | None = None
    name: Name | None = None
    gpus: Count | None = Field(None, description="engine `cluster`")
    samples_per_epoch: Whole | None = Field(None, description="engine `cluster`")
    epochs: Count | None = Field(None, description="engine `cluster`")
    samples_per_second: Annotated[float, Field(gt=0, le=1e12)] | None = Field(
        None, description="engine `cluster`: throughput of all GPUs, measured; a dry run reckons hours from it"
    )

    @property
    def run_id(self) -> str:
        return self.name or f"{self.architecture}_{self.subset}_{self.samples_seen}_s{self.seed}"


class Cluster(_Section):
    """Engine `cluster`: what a SLURM site is asked for, and how open_clip's trainer is set up on it."""

    gpus_per_node: Annotated[int, Field(ge=1, le=1024)] = 4
    workers: Annotated[int, Field(ge=0, le=1024)] = Field(8, description="loader processes a GPU")
    cpus_per_task: Count | None = Field(None, description="processors a node; empty: workers + 1 for each GPU")
    time_limit_minutes: Count = Field(1440, description="a run that needs longer is requeued and goes on")
    requeues: Annotated[int, Field(ge=0, le=10**6)] = Field(100, description="time limits that a run may meet")
    partition: Text | None = None
    account: Text | None = None
    qos: Text | None = None
    memory_gb: Count | None = Field(None, description="memory a node; empty: the site's default")
    setup: list[Text] = Field(default=[], max_length=1000, description="shell lines before each run, such as `module load`")
    watts_per_gpu: Positive = Field(350.0, description="paper, Table 18")
    device: Literal["cuda", "cpu"] = "cuda"
    checkpoint_activations: list[Name] = Field(default=[], description="architectures short of memory")


class Train(_Section):
    engine: Literal["embedded", "cluster"]
    batch_size: Batch
    precision: Precision
    warmup_fraction: Annotated[float, Field(ge=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1e6)]
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    gradient_clip: Positive | None = Field(description="null: none, engine `cluster` only")
    augment_shift: Annotated[int, Field(ge=0, le=4096)] = Field(description="random shift in pixels")
    architectures: Annotated[list[ArchitectureEntry], Field(max_length=10_000)]
    runs: Annotated[list[Run], Field(max_length=10_000)]
    cluster: Cluster = Field(default_factory=Cluster, description="engine `cluster`")


class FineTune(_Section):
    """Which runs are fine-tuned and patched (none: an empty list), and for how long."""

    runs: list[Name]
    iterations: Count
    batch_size: Count
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
    task: Text
    dataset: Text
    metric: Text
    split: Text = "test"


class Fit(_Section):
    forms: Annotated[list[Name], Field(max_length=100)]
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]
    targets: list[Target] = Field(description="empty: every score")


class Study(_Section):
    study: Name
    title: Title
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
        if self.study.lower() in RESERVED:
            raise ValueError(f"study: the name {self.study!r} is taken; give your study a name of its own")
        if self.train.augment_shift >= self.prepare.image_size:
            raise ValueError("train.augment_shift: a shift of an image's whole width leaves none of it")
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
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name} stands twice")
        seen.add(name)


def _known(name: str, known: set[str], what: str, where: object) -> None:
    if name not in known:
        place = where.run_id if isinstance(where, Run) else where
        raise ValueError(f"unknown {what} {name!r} in {place}; known: {shortlist(sorted(known))}")


class _PlainLoader(yaml.SafeLoader):
    """YAML 1.2 without aliases (a few bytes could ask for gigabytes), without repeated keys and without tags.

    Of scalars, only what everybody reads alike is no text: decimal numbers, true, false and null. To YAML 1.1, 040 is
    32, 1:20 is 80, and `no` is false.
    """

    yaml_implicit_resolvers: dict = {}

    def compose_node(self, parent, index):  # noqa: D102 - yaml's name
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", self.peek_event().start_mark)
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:  # its constructor would read the text by YAML 1.1, or fail on it
            said = f"tags such as {short(event.tag)} are not allowed"
            raise yaml.composer.ComposerError(None, None, said, event.start_mark)
        if _HALVES.search(getattr(event, "value", "")):  # escaped; no file could be written with it
            raise yaml.composer.ComposerError(None, None, "half a surrogate pair is no text", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):  # noqa: D102 - yaml's name
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {short(key)!r} stands twice", node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
     list("-+.0123456789")),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first)


def load_yaml(path: Path, most: int = _LARGEST) -> object:
    """Read YAML without aliases, tags and repeated keys. Raises UserError."""
    path = Path(path)
    if not path.is_file():  # nor a pipe or device, which may never end
        raise UserError("no such file", where=path, mend="name an existing YAML file")
    if path.stat().st_size > most:
        raise UserError(f"is larger than {most >> 10} KiB", where=path, mend="name a study file, a page or two of YAML")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=path, mend="save it as readable UTF-8 text") from None
    return parse_yaml(text, where=path)


def parse_yaml(text: str, *, where: object) -> object:
    """As `load_yaml`, of text that stands elsewhere: `where` says in what."""
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"is no valid YAML ({error})", where=where, mend="mend the named line") from None


def is_name(word: str) -> bool:
    """Whether a study, run or subset may be called so: no name leads out of its folder."""
    return re.fullmatch(_NAME, word) is not None


def _given(fault: dict) -> str:
    """The value that a validator refused, where it is one word or number."""
    value = fault.get("input")
    return f", not {short(value)!r}" if isinstance(value, (str, int, float)) and fault["type"] != "value_error" else ""


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
        raise UserError(f"unknown study {short(name_or_path)!r}", mend=f"known: {known}; or give the path of a study file")
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
        place = ".".join(short(part) for part in first["loc"]) or "study"
        raise UserError(f"{place}: {first['msg']}{_given(first)}", where=path, mend="see studies/cpu.yaml for the form") from None

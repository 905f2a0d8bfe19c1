"""The exact command of a run: torchrun, our worker module around open_clip_train, and open_clip's own arguments."""

from dataclasses import dataclass
from pathlib import Path

from ...core.study import Study
from .plan import Plan

WORKER = "clip_scaling.train.cluster.worker"
SAID = "clip-scaling train: "  # before a sentence of the worker's, in the job's log
_MEETING_PORT = 29500
_ADAM_EPSILON = 1e-6  # open_clip's for vision transformers; stated because its default depends on the model's name


@dataclass(frozen=True)
class Places:
    """Where a run finds its data and leaves its logs: `folder` holds the log folder <run>/ and attempts.jsonl."""

    manifest: Path
    model_config: Path
    folder: Path


def torchrun_arguments(nodes: int, per_node: int, *, head: str = "HEAD_NODE", job: str = "JOB_ID") -> list[str]:
    """Arguments of torchrun, the same on each node; on several, the processes meet at the host `head`."""
    if nodes == 1:
        return ["--standalone", "--nproc-per-node", str(per_node)]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{head}:{_MEETING_PORT}", "--rdzv-id", job]
    return ["--nnodes", str(nodes), "--nproc-per-node", str(per_node), *meeting]


def worker_arguments(study: Study, plan: Plan, places: Places, *, allow_pipe: bool = False) -> list[str]:
    """Arguments of the worker: its own, then after `--` those of open_clip_train."""
    own = ["--manifest", str(places.manifest), "--model-config", str(places.model_config),
           "--attempts", str(places.folder / "attempts.jsonl")]
    return [*own, *(["--allow-pipe"] if allow_pipe else []), "--", *open_clip_arguments(study, plan, places.folder)]


def open_clip_arguments(study: Study, plan: Plan, logs: Path) -> list[str]:
    """Arguments of open_clip_train, the shards apart: those the worker takes from the subset's manifest."""
    train, cluster = study.train, study.train.cluster
    options = {
        "model": plan.architecture, "dataset-type": "webdataset", "train-num-samples": plan.samples_per_epoch,
        "epochs": plan.epochs, "batch-size": plan.local_batch, "lr": plan.learning_rate, "beta1": train.beta1,
        "beta2": train.beta2, "eps": _ADAM_EPSILON, "wd": train.weight_decay, "warmup": plan.warmup_steps,
        "lr-scheduler": "cosine", "precision": plan.precision, "workers": cluster.workers, "seed": plan.seed,
        "device": cluster.device, "save-frequency": 1, "resume": "latest", "logs": logs, "name": plan.run,
    }
    if train.gradient_clip is not None:
        options["grad-clip-norm"] = train.gradient_clip
    # Each GPU computes its own rows of the loss, with gradients through the gathered features (as in the paper).
    sharded = plan.gpus > 1
    flags = {"local-loss": sharded, "gather-with-grad": sharded, "dataset-resampled": plan.resampled,
             "grad-checkpointing": plan.architecture in cluster.checkpoint_activations,
             "delete-previous-checkpoint": True}
    if cluster.device == "cpu" and sharded:
        options["dist-backend"] = "gloo"
    words = [word for name, value in options.items() for word in (f"--{name}", _text(value))]
    return words + [f"--{name}" for name, wanted in flags.items() if wanted]


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

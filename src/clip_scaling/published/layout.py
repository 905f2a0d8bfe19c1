"""Columns of the tables in data/published, beside RUNS and SCORES of the core schema."""

from ..core.schema import RUNS, SCORES, Column, Table


def _text(name: str, about: str, optional: bool = False) -> Column:
    return Column(name, "text", about, optional=optional)


def _number(name: str, about: str, unit: str = "", optional: bool = False) -> Column:
    return Column(name, "number", about, unit, optional)


def _whole(name: str, about: str, unit: str = "", optional: bool = False) -> Column:
    return Column(name, "whole", about, unit, optional)


def _fraction(name: str, about: str, optional: bool = False) -> Column:
    return Column(name, "fraction", about, optional=optional)


_RUN = _text("run", "run of runs.csv")
_SOURCE = _text("source", "table, figure or released file that the row was carried over from")
_ARCHITECTURE = _text("architecture", "open_clip model configuration")
_ACC1, _ACC5 = _fraction("acc1", "top-1 accuracy"), _fraction("acc5", "top-5 accuracy", True)

TRAINING = Table(
    "training",
    (
        _RUN,
        _text("checkpoint", "released name"),
        _text("samples_seen_label", "budget as the paper labels it"),
        _number("learning_rate", "peak learning rate"),
        _whole("warmup_steps", "linear warm-up", "steps"),
        _whole("epochs", "passes over samples_per_epoch"),
        _whole("samples_per_epoch", "pairs in an epoch"),
        _whole("gpus", "A100 GPUs"),
        _whole("batch_per_gpu", "local batch"),
        _number("samples_per_second", "throughput of all GPUs", "1/s"),
        _SOURCE,
    ),
    ("run",),
)
RESOURCES = Table(
    "resources",
    (
        _RUN,
        _text("samples_seen_label", "budget as the paper labels it"),
        _whole("batch_per_gpu", "local batch"),
        _whole("batch_size", "global batch"),
        _number("learning_rate", "peak learning rate"),
        _whole("warmup_steps", "linear warm-up", "steps"),
        _whole("gpus", "A100 GPUs"),
        _number("hours", "wall time", "h"),
        _number("gpu_hours", "GPU-hours", "h"),
        _number("mwh", "energy as printed", "MWh"),
        _SOURCE,
    ),
    ("run",),
)
LINEAR_PROBE = Table(
    "linear_probe",
    (
        _RUN,
        _text("checkpoint", "open_clip's name of the weights"),
        _text("dataset", "evaluation set"),
        _text("shots", "images per class: 10, 25 or full"),
        _number("learning_rate", "of the probe"),
        _whole("epochs", "of the probe"),
        _whole("batch_size", "of the probe"),
        _whole("seed", "of the probe"),
        _ACC1,
        _ACC5,
        _fraction("mean_per_class_recall", "mean per-class recall"),
        _SOURCE,
    ),
    ("run", "dataset", "shots", "learning_rate", "epochs"),
)
LEARNING_CURVES = Table(
    "learning_curves", (_RUN, _whole("epoch", "epochs trained"), _ACC1, _ACC5, _SOURCE), ("run", "epoch")
)
ARCHITECTURES = Table(
    "architectures",
    (
        _ARCHITECTURE,
        _whole("image_size", "side of the image", "px"),
        _whole("image_width", "width of the image tower"),
        _whole("text_width", "width of the text tower"),
        _whole("embed_dim", "shared embedding"),
        *(
            _number(f"{tower}{name}", f"{about}, {tower.strip('_') or 'both'} tower(s)", unit)
            for tower in ("", "image_", "text_")
            for name, about, unit in (
                ("gmacs" if tower else "gmacs_per_sample", "forward pass", "GMAC"),
                ("activations_million", "activations", "million"),
                ("parameters_million", "parameters", "million"),
            )
        ),
        _whole("image_depth", "layers of the image tower", optional=True),
        _whole("text_depth", "layers of the text tower", optional=True),
        _SOURCE,
    ),
    ("architecture",),
)
EVALUATION_SETS = Table(
    "evaluation_sets",
    (
        _text("dataset", "name in the released files"),
        _text("name", "name in Table 26"),
        _text("abbreviation", "name in Table 17", True),
        _text("task", "task of the scores"),
        _whole("test_size", "images, as printed", optional=True),
        _whole("n_classes", "classes", optional=True),
        *(
            _whole(f"in_{group}", "1: part of the mean")
            for group in ("imagenet_robustness", "vtab_zero_shot", "vtab_linear_probe", "vtab_plus")
        ),
        _SOURCE,
    ),
    ("dataset",),
)
CONTROLS = Table(
    "controls",
    (
        _whole("table", "table of the paper"),
        _ARCHITECTURE,
        _text("subset", "pre-training pairs"),
        _text("condition", "what was varied"),
        _text("batch_size", "global batch as printed", True),
        _text("dataset", "evaluation set"),
        _text("metric", "metric"),
        _fraction("value", "score"),
        _SOURCE,
    ),
    ("table", "architecture", "condition"),
)
DUPLICATES = Table(
    "duplicates",
    (
        _text("dataset", "evaluation set, name of Table 26"),
        _number("overlap_percent", "images with a near-duplicate in LAION-400M", "%"),
        _SOURCE,
    ),
    ("dataset",),
)
PRETRAINING_SETS = Table(
    "pretraining_sets",
    (
        _text("dataset", "pre-training set"),
        _text("access", "public or private"),
        _whole("pairs", "English pairs"),
        _SOURCE,
    ),
    ("dataset",),
)
JOINT_FINE_TUNING = Table(
    "joint_fine_tuning",
    (
        _RUN,
        _text("task", "joint_zeroshot, joint_fine_tuning or joint_patched"),
        _text("dataset", "evaluation set"),
        _ACC1,
        _SOURCE,
    ),
    ("run", "task", "dataset"),
)
IMAGENET_FINE_TUNING = Table(
    "imagenet_fine_tuning",
    (
        _text("model", "timm's name"),
        _ARCHITECTURE,
        _whole("image_size", "side of the image", "px"),
        _text("subset", "pre-training pairs"),
        _text("intermediate", "fine-tuned on before ImageNet-1k", True),
        _text("dataset", "evaluation set"),
        _text("metric", "metric"),
        _fraction("printed", "Table 9", True),
        _fraction("timm", "timm's own result"),
        _number("parameters_million", "image tower", "million"),
        _number("gmacs", "image tower, as printed", "GMAC", True),
        _number("activations_million", "image tower, as printed", "million", True),
        _SOURCE,
    ),
    ("model", "dataset"),
)
FINE_TUNING_HYPERPARAMETERS = Table(
    "fine_tuning_hyperparameters",
    (
        _whole("table", "table of the paper"),
        _text("target", "set fine-tuned on"),
        _text("hyperparameter", "name"),
        _ARCHITECTURE,
        _text("value", "as printed"),
        _SOURCE,
    ),
    ("table", "hyperparameter", "architecture"),
)
_OTHER_SUITE = (
    _fraction("imagenet1k_acc1", "zero-shot top-1"),
    _fraction("mscoco_image_recall5", "MS-COCO image retrieval, recall at 5"),
)
OPENAI_RESNETS = Table(
    "openai_resnets",
    (
        _ARCHITECTURE,
        _text("kind", "ResNet or ViT"),
        _number("gmacs_per_sample", "forward pass of one pair", "GMAC"),
        _whole("samples_seen", "pairs seen in training"),
        *_OTHER_SUITE,
        _SOURCE,
    ),
    ("architecture",),
)
LATER_MODELS = Table(
    "later_models",
    (
        _ARCHITECTURE,
        _text("subset", "pre-training pairs"),
        _text("samples_seen_label", "nominal budget"),
        _whole("samples_seen", "pairs seen in training"),
        _number("gmacs_per_sample", "forward pass of one pair", "GMAC"),
        *_OTHER_SUITE,
        _text("note", "what to keep in mind"),
        _SOURCE,
    ),
    ("architecture",),
)
PRINTED_TABLES = Table(
    "printed_tables",
    (
        _text("table", "1 to 26, or hidden"),
        _text("row", "row as the transcription names it"),
        _text("column", "column as the transcription names it"),
        _text("printed", "cell as printed"),
        _SOURCE,
    ),
    ("table", "row", "column"),
)
CLAIMS = Table(
    "claims",
    (
        _whole("id", "number of the claim"),
        _text("where", "place in the paper"),
        _text("claim", "what is claimed"),
        _text("paper", "number as printed"),
        _SOURCE,
    ),
    ("id",),
)

TABLES = {
    table.name: table
    for table in (
        RUNS,
        SCORES,
        TRAINING,
        RESOURCES,
        LINEAR_PROBE,
        LEARNING_CURVES,
        ARCHITECTURES,
        EVALUATION_SETS,
        CONTROLS,
        DUPLICATES,
        PRETRAINING_SETS,
        JOINT_FINE_TUNING,
        IMAGENET_FINE_TUNING,
        FINE_TUNING_HYPERPARAMETERS,
        OPENAI_RESNETS,
        LATER_MODELS,
        PRINTED_TABLES,
        CLAIMS,
    )
}

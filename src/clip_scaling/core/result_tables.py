"""The other tables of results/<study>/, beside the narrow waist: what stands in each column, and what names a row."""

from .schema import LAWS, STATUSES, TABLES, Column, Table

_YES_NO = ("True", "False")
_STUDY = Column("study", "text", "study that the row is of")
_RUN = Column("run", "text", "name of the run")
_TASK = tuple(column for column in LAWS.columns if column.name in ("task", "dataset", "metric"))
_TARGET = tuple(column for column in LAWS.columns if column.name in ("family", "task", "dataset", "metric"))
_FORM = tuple(column for column in LAWS.columns if column.name in ("form", "estimator"))
_STATUS = Column("status", "text", "how the fit ended")
_METHOD = Column("interval_method", "text", "how the interval was made")
_SOURCE = Column("source", "text", "where the number stands")
_TARGET_KEY = ("study", "family", "task", "dataset", "metric")


def _number(name: str, about: str, unit: str = "", *, optional: bool = False) -> Column:
    return Column(name, "number", about, unit, optional)


def _count(name: str, about: str) -> Column:
    return Column(name, "whole", about, above=-1)


def _flag(name: str, about: str) -> Column:
    return Column(name, "text", about, known=_YES_NO)


_TESTED = (
    Column("compute", "number", "training compute", "GMAC", above=0),
    Column("error", "fraction", "measured error"),
    _number("predicted", "error that a law without this model predicts"),
    _number("low", "lower end of the 95 % prediction interval", optional=True),
    _number("high", "upper end of it", optional=True),
    _flag("covered", "whether the interval holds the measured error"),
    _number("difference_pp", "predicted less measured error", "pp"),
)

PATCHING = Table("patching", (
    _STUDY, _RUN,
    Column("alpha", "fraction", "weight of the fine-tuned tower in the mix"),
    Column("role", "text", "task or control", known=("task", "control")),
    Column("dataset", "text", "evaluation set"),
    Column("value", "fraction", "accuracy of the mix"),
    _flag("chosen", "whether this mix is the one reported"),
), ("study", "run", "alpha", "role", "dataset"))

_SEEN = Column("samples_seen", "whole", "pairs seen at the end of the stretch", above=0)
_LOSS = _number("loss", "mean loss over the stretch")
LOSS = Table("loss", (_SEEN, _LOSS), ("samples_seen",))  # runs/<study>/<run>/loss.csv
LEARNING_CURVES = Table("learning_curves", (_STUDY, _RUN, _SEEN, _LOSS), ("study", "run", "samples_seen"))

TUNING = Table("tuning", (
    Column("recipe", "whole", "version of the training recipe", above=0),
    Column("architecture", "text", "open_clip model configuration"),
    Column("subset", "text", "pre-training subset"),
    Column("samples_seen", "whole", "pairs seen in training", above=0),
    Column("seed", "whole", "seed of initialisation and order", above=-1),
    Column("learning_rate", "number", "peak learning rate", above=0),
    Column("token_embedding_lr_scale", "number", "factor of the token embedding's learning rate", above=0),
    Column("dataset", "text", "tuning set"),
    *(Column(name, "fraction", "score on the tuning set") for name in ("acc1", "acc5", "mean_reciprocal_rank")),
    _count("n_items", "images scored"),
    _count("n_classes", "classes"),
    Column("status", "text", "finished or failed", known=STATUSES),
), ("recipe", "architecture", "subset", "samples_seen", "seed", "learning_rate", "token_embedding_lr_scale", "dataset"))

HELDOUT = Table("heldout", (_STUDY, *_TARGET, *_FORM, _RUN, *_TESTED), (*_TARGET_KEY, "form", "estimator", "run"))

LATER = Table("later", (
    Column("architecture", "text", "model that the paper does not have"),
    Column("samples_seen", "whole", "pairs seen in training", above=0),
    _TESTED[0], *_TASK[1:], _FORM[0], *_TESTED[1:],
    Column("note", "text", "what is assumed of it", optional=True),
    _SOURCE,
), ("architecture", "samples_seen", "dataset", "metric", "form"))

LEFT_OUT = Table("left_out", (_STUDY, _RUN, *_TARGET, Column("reason", "text", "why no law is fitted to it")),
                 ("run", *_TARGET_KEY))

MODEL_CHOICE = Table("model_choice", (
    _STUDY, *_TARGET, *_FORM, _STATUS,
    _count("n_points", "models fitted"), _count("n_parameters", "parameters of the form"),
    _number("aicc", "corrected Akaike criterion", optional=True),
    _number("delta_aicc", "its distance from the best form's", optional=True),
    _number("insample_mae_pp", "mean absolute error on the fitted models", "pp", optional=True),
    _number("heldout_mae_pp", "the same on held out", "pp", optional=True),
    _count("heldout_n", "models held out"),
    Column("heldout_covered", "fraction", "share of them that the interval holds", optional=True),
    _flag("best_aicc", "whether the form has the least criterion"), _flag("best_heldout", "or the least held-out error"),
), (*_TARGET_KEY, "form", "estimator"))

COMPARISON = Table("comparison", (
    _STUDY, *_TASK,
    Column("design", "text", "which models are compared"),
    Column("quantity", "text", "what is compared"),
    Column("family_a", "text", "pre-training distribution"), Column("family_b", "text", "the other"),
    _number("value_a", "value of the first", optional=True), _number("value_b", "value of the second", optional=True),
    _number("difference", "second less first", optional=True),
    _number("low", "lower end of the 95 % interval", optional=True),
    _number("high", "upper end of the 95 % interval", optional=True),
    Column("probability", "fraction", "that the difference has its sign", optional=True),
    _count("n_a", "models of the first"), _count("n_b", "models of the second"), _METHOD, _STATUS,
), ("study", "task", "dataset", "metric", "design", "quantity", "family_a", "family_b"))

SENSITIVITY = Table("sensitivity", (
    _STUDY, *_TARGET,
    Column("design", "text", "what is chosen otherwise"), Column("setting", "text", "how"),
    _number("alpha", "exponent", optional=True), _number("beta", "factor", optional=True), _count("n_points", "models fitted"),
), (*_TARGET_KEY, "design", "setting"))

CLAIMS = Table("claims", (
    Column("id", "whole", "number of the claim", above=0),
    Column("where", "text", "place in the paper"), Column("claim", "text", "what it says"),
    Column("paper", "text", "its number", optional=True), Column("recomputed", "text", "ours", optional=True),
    Column("verdict", "text", "what became of it",
           known=("reproduced", "holds", "weak", "fails", "inconsistent", "not checkable")),
    Column("note", "text", "what is to be known besides", optional=True),
), ("id",))

ERRATA = Table("errata", (
    Column("erratum", "whole", "number of the finding", above=0),
    Column("topic", "text", "what is found"), Column("evidence", "text", "what the number is of"),
    _number("value", "the number"), _number("low", "lower end of its 95 % interval", optional=True),
    _number("high", "upper end of it", optional=True), Column("unit", "text", "unit", optional=True),
    Column("paper", "text", "what the paper has in its place", optional=True), _SOURCE,
), ())  # two findings may rest on one number

TABLE_CHECK = Table("table_check", (
    Column("table", "text", "table of the paper"), Column("row", "text", "row of it"), Column("column", "text", "column of it"),
    Column("paper", "text", "printed cell"), _number("recomputed", "ours", optional=True),
    _number("difference", "printed less recomputed", optional=True),
    Column("within_rounding", "text", "whether rounding explains it", known=("yes", "no", "transcription only")),
), ("table", "row", "column"))

RESULT_TABLES = TABLES | {table.name: table for table in (
    PATCHING, LEARNING_CURVES, TUNING, HELDOUT, LATER, LEFT_OUT, MODEL_CHOICE, COMPARISON, SENSITIVITY, CLAIMS, ERRATA,
    TABLE_CHECK)}

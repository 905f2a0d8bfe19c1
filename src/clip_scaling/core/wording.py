"""Numbers and names as a reader reads them: one wording for tables, captions and chapters."""

import math
import re

import numpy as np

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# What the columns of the result tables call things, and what a reader calls them.
_NAMES = {
    "imagenet1k": "ImageNet",
    "imagenetv2": "ImageNet-V2",
    "imagenet-a": "ImageNet-A",
    "imagenet-r": "ImageNet-R",
    "imagenet_sketch": "ImageNet Sketch",
    "imagenet_robustness": "ImageNet robustness",
    "objectnet": "ObjectNet",
    "mscoco_captions": "MS-COCO",
    "flickr30k": "Flickr30K",
    "vtab": "VTAB",
    "vtab+": "VTAB+",
    "cifar100": "CIFAR-100",
    "cars": "Stanford Cars",
    "country211": "Country211",
    "fer2013": "FER2013",
    "fgvc_aircraft": "FGVC Aircraft",
    "gtsrb": "GTSRB",
    "mnist": "MNIST",
    "renderedsst2": "Rendered SST2",
    "stl10": "STL-10",
    "sun397": "SUN397",
    "voc2007": "VOC2007",
    "voc2007_multilabel": "VOC2007 multi-label",
    "vtab/cifar10": "CIFAR-10 (VTAB)",
    "vtab/cifar100": "CIFAR-100 (VTAB)",
    "vtab/dtd": "DTD (VTAB)",
    "vtab/eurosat": "EuroSAT (VTAB)",
    "vtab/pcam": "PCam (VTAB)",
    "vtab/resisc45": "RESISC45 (VTAB)",
    "vtab/svhn": "SVHN (VTAB)",
    "acc1": "top-1",
    "mean_average_precision": "mAP",
    "image_retrieval_recall@5": "image Recall@5",
    "text_retrieval_recall@5": "text Recall@5",
    "binned_front": "power law, binned front",
    "power": "power law",
    "power_floor": "power law with a floor",
    "three_variable": "three variables",
    "three_variable_floor": "three variables with a floor",
    "three_variable_no_repetition": "three variables, repeats as new",
    "three_variable_product": "three variables, product",
    "bootstrap_expanded_percentile": "bootstrap, expanded percentiles",
    "bootstrap_t": "bootstrap-t",
    "profile": "profile from a bound",
    "t": "Student's t",
    "log_ls": "least squares in log error",
    "log_ls_binomial": "least squares in log error, weighted by binomial variance",
    "robust_log": "Huber's loss of log error",
    "alpha": "α",
    "beta": "β",
    "bootstrap+t": "bootstrap and Student's t",
    "CONVERGED": "converged",
    "BOUND_HIT": "a parameter ends on its bound",
    "MAX_ITER": "stopped early",
    "DEGENERATE": "too few models or too little range",
    "ABNORMAL": "not finite",
}


def named(name: str) -> str:
    """The reader's name; a name without one loses its underscores, and VTAB's prefix goes behind."""
    if name in _NAMES:
        return _NAMES[name]
    task, _, rest = str(name).partition("/")
    return f"{rest.replace('_', ' ')} (VTAB)" if task == "vtab" else str(name).replace("_", " ")


def measured(dataset: str, metric: str) -> str:
    """Set and metric; top-1 accuracy, the metric of most sets, goes without saying."""
    return named(dataset) if metric == "acc1" else f"{named(dataset)}, {named(metric)}"


def listed(names: list[str]) -> str:
    """a; a and b; a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def minus(text: str) -> str:
    """Hyphens that stand before a number, not within a word or a range, as minus signs."""
    return re.sub(r"(?<![\w.)])-(?=\.?\d)", "−", text)


def raised(exponent: int) -> str:
    """An exponent in raised digits."""
    return str(exponent).translate(_RAISED)


def fixed(value: float, decimals: int) -> str:
    """So many decimals, thousands set apart; no digits for NaN."""
    return "" if value != value else minus(f"{value:,.{decimals}f}")


def number(value: float, digits: int = 4) -> str:
    """So many significant digits; a power of ten where plain digits would be a row of zeros."""
    if value != value or np.isinf(value):
        return "" if value != value else minus(str(value)).replace("inf", "∞")
    if value and not 1e-4 <= abs(value) < 1e8:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{minus(mantissa)} × 10{raised(int(exponent))}"
    whole = math.floor(math.log10(abs(value))) + 1 if value else 1
    text = f"{value:,.{max(digits - whole, 0)}f}"
    return minus(text.rstrip("0").rstrip(".") if "." in text else text)


def interval(low: float, high: float, decimals: int = 3) -> str:
    """'low to high'; no digits where there is no interval."""
    return "" if low != low or high != high else f"{fixed(low, decimals)} to {fixed(high, decimals)}"


def ends(low: float, high: float, digits: int = 3) -> str:
    """'low to high' in significant digits, for a parameter of any size."""
    return "" if low != low or high != high else f"{number(low, digits)} to {number(high, digits)}"


def with_interval(value: str, between: str) -> str:
    """'value (low to high)' of what the functions above wrote."""
    return f"{value} ({between})" if between else value

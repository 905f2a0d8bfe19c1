"""Numbers and names as a reader reads them: one wording for tables, captions and chapters."""

import math
import re

import numpy as np

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# What the columns of the result tables call things, and what a reader calls them.
_NAMES = {
    "imagenet1k": "ImageNet",
    "imagenetv2": "ImageNet-v2",
    "imagenet-r": "ImageNet-R",
    "imagenet-a": "ImageNet-A",
    "imagenet_sketch": "ImageNet Sketch",
    "imagenet_robustness": "ImageNet robustness, mean of 5 sets",
    "objectnet": "ObjectNet",
    "mscoco_captions": "MS-COCO",
    "flickr30k": "Flickr30K",
    "power": "power law",
    "power_floor": "power law with a floor",
    "binned_front": "power law through the binned front",
    "three_variable": "three variables",
    "three_variable_floor": "three variables with a floor",
    "three_variable_no_repetition": "three variables, repeats count in full",
    "three_variable_product": "three variables, multiplied",
    "log_ls": "least squares in log error",
    "log_ls_binomial": "least squares in log error, weighted by binomial variance",
    "robust_log": "Huber's loss of log error",
    "alpha": "α",
    "beta": "β",
    "t": "Student's t",
    "bootstrap_t": "bootstrap t",
    "bootstrap_expanded_percentile": "bootstrap, widened percentiles",
    "bootstrap+t": "bootstrap and Student's t",
    "CONVERGED": "converged",
    "BOUND_HIT": "a parameter ends on its bound",
    "MAX_ITER": "stopped early",
    "DEGENERATE": "too few models or too little range",
    "ABNORMAL": "not finite",
}


def named(name: str) -> str:
    """The reader's name; a name without one keeps its own, without underscores."""
    return _NAMES.get(name, str(name).replace("_", " "))


def listed(names: list[str]) -> str:
    """a; a and b; a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def minus(text: str) -> str:
    """Hyphens that stand before a number, not within a word or a range, as minus signs."""
    return re.sub(r"(?<![\w.)])-(?=\.?\d)", "−", text)


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
        return f"{minus(mantissa)} × 10{str(int(exponent)).translate(_RAISED)}"
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

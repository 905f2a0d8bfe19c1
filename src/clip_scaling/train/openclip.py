"""The one door to open_clip: `from clip_scaling.train.openclip import open_clip`.

A torchvision built for CUDA cannot load its compiled operators beside a CPU build of torch, and then fails while it
describes them to torch. open_clip needs torchvision's transforms only, which are plain Python. So the import is tried
first, as on any ordinary machine; where it stumbles over an operator that nobody registered, that operator's schema
is declared and the import repeated. Declaring before trying would collide with a torchvision that is whole.
"""

import importlib
import re
import sys

_UNREGISTERED = re.compile(r"operator torchvision::(?P<name>\w+) does not exist")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declarations = []  # torch forgets a schema once its library is collected


def import_torchvision(attempts: int = 8) -> list[str]:
    """Import torchvision; return the operators that had to be declared for it. Raises RuntimeError where that fails."""
    declared: list[str] = []
    for _ in range(attempts):
        try:
            importlib.import_module("torchvision")
            return declared
        except RuntimeError as error:
            match = _UNREGISTERED.search(str(error))
            if match is None or match["name"] in declared:
                raise
            declared.append(match["name"])
        _declare(declared[-1])
        for module in [name for name in sys.modules if name.split(".", 1)[0] == "torchvision"]:
            del sys.modules[module]
    raise RuntimeError(f"torchvision lacks more operators than {', '.join(declared)}")


def _declare(operator: str) -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define(operator + _SIGNATURE)
    _declarations.append(library)


DECLARED = import_torchvision()

import open_clip  # noqa: E402 - only after torchvision

__all__ = ["DECLARED", "import_torchvision", "open_clip"]

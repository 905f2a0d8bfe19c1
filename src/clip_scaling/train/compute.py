"""Compute accounting: multiply-accumulates, activations and parameters, counted by operation (paper, Table 25).

The published table counts a layer normalisation as five multiply-accumulates an element; so do we. Counting runs on
the meta device: shapes flow, no number is computed and no weight allocated.
"""

import functools
import json
from dataclasses import dataclass

from .models import architecture


@dataclass(frozen=True)
class Cost:
    """What one sample costs in the forward pass of one tower, or of both.

    `gmacs` in 10^9 multiply-accumulates, `activations` in 10^6 output elements of matrix products and convolutions,
    `parameters` as a plain count.
    """

    gmacs: float
    activations: float
    parameters: int


@dataclass(frozen=True)
class Compute:
    """Costs of the image tower, the text tower and both together (with the logit scale among the parameters)."""

    image: Cost
    text: Cost
    both: Cost


def compute(name_or_config: str | dict) -> Compute:
    """Count an architecture given by name or as open_clip configuration. Raises UserError for an unknown name."""
    config = architecture(name_or_config) if isinstance(name_or_config, str) else name_or_config
    return _counted(json.dumps(config, sort_keys=True))


def gmacs(name_or_config: str | dict) -> float:
    """GMAC of one image-text pair's forward pass, both towers."""
    return compute(name_or_config).both.gmacs


@functools.lru_cache(maxsize=256)
def _counted(config_json: str) -> Compute:
    import torch

    config = json.loads(config_json)
    model = _meta_model(config)
    size = config["vision_cfg"].get("image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    context = getattr(model, "context_length", None) or config["text_cfg"].get("context_length", 77)
    image_input = torch.empty(1, 3, height, width, device="meta")
    text_input = torch.zeros(1, context, dtype=torch.long, device="meta")
    total = sum(parameter.numel() for parameter in model.parameters())
    image_parameters = sum(parameter.numel() for parameter in model.visual.parameters())
    scalars = sum(p.numel() for name, p in model.named_parameters() if name in ("logit_scale", "logit_bias"))
    image = Cost(*_count(model.encode_image, image_input), image_parameters)
    text = Cost(*_count(model.encode_text, text_input), total - image_parameters - scalars)
    return Compute(image, text, Cost(image.gmacs + text.gmacs, image.activations + text.activations, total))


def _meta_model(config: dict):
    """The model with shapes only."""
    import torch

    from .openclip import open_clip

    config = dict(config)
    custom = config.pop("custom_text", False) or "hf_model_name" in config["text_cfg"]
    kind = open_clip.CLIP
    if "multimodal_cfg" in config:
        kind = open_clip.CoCa
    elif custom:
        kind = open_clip.CustomTextCLIP
    with torch.device("meta"):
        return kind(**json.loads(json.dumps(config))).eval()


def _count(forward, sample) -> tuple[float, float]:
    """GMAC and millions of activations of `forward(sample)`."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), _activation_counter() as activations:
        with FlopCounterMode(display=False, custom_mapping=_layer_norm_counts()) as flops:
            forward(sample)
    return flops.get_total_flops() / 2e9, activations.total / 1e6


def _layer_norm_counts() -> dict:
    import math

    import torch

    def multiply_accumulates_doubled(shape, *_, **__) -> int:
        return 2 * 5 * math.prod(shape)

    return {torch.ops.aten.native_layer_norm: multiply_accumulates_doubled}


def _activation_counter():
    """A dispatch mode that adds up the output elements of matrix products and convolutions."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    aten = torch.ops.aten
    counted = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.convolution, aten.linear}

    class Activations(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if function.overloadpacket in counted:
                self.total += result.numel()
            return result

    return Activations()

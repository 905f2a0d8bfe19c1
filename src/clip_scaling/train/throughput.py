"""What a device does in a second, and what share of its peak that is."""

import sys
import time

import torch
from tqdm import tqdm

from .compute import gmacs

# Dense bf16 peak in TFLOP/s from NVIDIA's data sheets, by the whole name that CUDA gives: a slice of a GPU (MIG) or a
# card of another form is another name, and gets no share rather than a wrong one.
PEAKS = {
    "NVIDIA H200": 989.0, "NVIDIA H100 80GB HBM3": 989.0, "NVIDIA H100 NVL": 835.0, "NVIDIA H100 PCIe": 756.0,
    "NVIDIA A100-SXM4-40GB": 312.0, "NVIDIA A100-SXM4-80GB": 312.0,
    "NVIDIA A100-PCIE-40GB": 312.0, "NVIDIA A100 80GB PCIe": 312.0,
}
_FLOP_PER_GMAC = 6e9  # 2 a multiply-accumulate, backward twice forward (as the paper's GMAC count)


def peak_flops(device_name: str) -> float | None:
    """Peak in FLOP/s that the share of it is reckoned against; None for a device not in PEAKS."""
    peak = PEAKS.get(device_name)
    return peak and 1e12 * peak


def peak_of(device: str) -> float | None:
    """The same of a device of this machine, `cuda:0` say."""
    return peak_flops(torch.cuda.get_device_name(device)) if device.startswith("cuda") else None


def performance(peak: float | None):
    """How the board words (GMAC forward per second): in TFLOP/s of training, and as a share of `peak` (FLOP/s)."""

    def words(gmacs_per_second: float) -> str:
        flops = _FLOP_PER_GMAC * gmacs_per_second
        return f", {flops / 1e12:.3g} TFLOP/s" + (f", MFU {100 * flops / peak:.2g} %" if peak else "")

    return words


def measure_mfu(name: str, *, batch_size: int, steps: int, device: str) -> tuple[float, float | None]:
    """Samples per second of an architecture on synthetic full-size input, and the share of the device's peak.

    bf16, fused AdamW, open_clip's own forward pass with activation checkpointing off; data are made on the device.
    """
    from .models import architecture, build_model
    from .openclip import open_clip

    config = architecture(name)
    model, loss = build_model(config).to(device), open_clip.ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=True)
    forward = torch.compile(model) if device.startswith("cuda") else model
    size = config["vision_cfg"].get("image_size", 224)
    images = torch.randn(batch_size, 3, size, size, device=device)
    tokens = torch.randint(1, model.vocab_size, (batch_size, model.context_length), device=device)
    begun = 0.0
    for step in tqdm(range(-3, steps), desc=name, file=sys.stderr):
        if step == 0:
            _wait(device)
            begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.partition(":")[0], torch.bfloat16):
            image_features, text_features, scale = forward(images, tokens)[:3]
            value = loss(image_features, text_features, scale)
        value.backward()
        optimizer.step()
    _wait(device)
    speed = steps * batch_size / (time.perf_counter() - begun)
    peak = peak_of(device)
    return speed, _FLOP_PER_GMAC * gmacs(name) * speed / peak if peak else None


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)

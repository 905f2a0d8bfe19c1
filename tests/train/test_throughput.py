"""What is said of a device's speed: arithmetic on known numbers, and no share of a peak that nobody stated."""

import pytest

from clip_scaling.train import throughput
from clip_scaling.train.compute import gmacs


@pytest.mark.parametrize("name, peak", [
    ("NVIDIA H200", 989e12), ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA H100 NVL", 835e12),
    ("NVIDIA A100-SXM4-40GB", 312e12), ("a toaster", None), ("NVIDIA GH200 480GB", None),
    ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
])
def test_peaks(name, peak):
    assert throughput.peak_flops(name) == peak


def test_performance_is_six_flop_a_multiply_accumulate():
    """1,000 GMAC a second forward are 6 TFLOP/s of training, 2 % of 300 TFLOP/s."""
    assert throughput.performance(None)(1000.0) == ", 6 TFLOP/s"
    assert throughput.performance(300e12)(1000.0) == ", 6 TFLOP/s, MFU 2 %"


def test_mfu_is_measured_and_not_made_up():
    speed, share = throughput.measure_mfu("ViT-XXS-8", batch_size=8, steps=2, device="cpu")
    assert speed > 0 and share is None


def test_mfu_is_speed_times_compute_over_the_peak(monkeypatch):
    """Two steps of eight samples in four seconds are 4 samples/s; of a peak of 6 GFLOP/s that is 4 GMAC."""
    clock = iter((10.0, 14.0))
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(throughput, "peak_of", lambda device: 6e9)
    monkeypatch.setattr(throughput, "tqdm", lambda steps, **options: steps)
    speed, share = throughput.measure_mfu("ViT-XXS-8", batch_size=8, steps=2, device="cpu")
    assert speed == 4.0 and share == pytest.approx(4 * gmacs("ViT-XXS-8"))

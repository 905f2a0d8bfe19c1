"""Energy that a GPU used, as its own counter has it; where there is none, nothing is estimated."""

import contextlib


class EnergyMeter:
    """Counts from its making. NVML's counter is the whole device's, whoever used it; a slice (MIG) has none."""

    def __init__(self, device: str):
        self._handle = self._last = None
        if device.startswith("cuda"):
            with contextlib.suppress(Exception):  # no NVML, no such counter, no permission: not measured
                import pynvml
                import torch

                if "MIG" in torch.cuda.get_device_name(device):
                    return
                pynvml.nvmlInit()
                identity = torch.cuda.get_device_properties(device).uuid
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}")
                self._last = self._read()

    def take(self) -> float | None:
        """Energy since the last call, or since the meter was made, in kWh; None: not measured, nor will it be."""
        if self._last is None:
            return None
        last, self._last = self._last, None
        with contextlib.suppress(Exception):
            self._last = self._read()
        return None if self._last is None or self._last < last else (self._last - last) / 3.6e9  # from mJ

    def _read(self) -> int:
        import pynvml

        return pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)

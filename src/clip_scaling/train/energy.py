"""Energy that a GPU used, as its own counter has it; where there is none, nothing is estimated."""

import contextlib


class EnergyMeter:
    """Counts from its making. NVML's counter is the whole device's, whoever used it."""

    def __init__(self, device: str):
        self._handle = self._begun = None
        if device.startswith("cuda"):
            with contextlib.suppress(Exception):  # no NVML, no such counter, no permission: not measured
                import pynvml
                import torch

                pynvml.nvmlInit()
                identity = torch.cuda.get_device_properties(device).uuid
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}")
                self._begun = pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)

    def kwh(self) -> float | None:
        """Energy since the meter was made, in kWh; None: not measured."""
        if self._begun is None:
            return None
        import pynvml

        return (pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) - self._begun) / 3.6e9  # from mJ

"""AdamW on a few flat tensors instead of a hundred small ones, and the learning-rate schedule.

Parameters and gradients are views into one flat tensor a group, so that a step is three fused calls and clipping one
norm: at a width of 32 the bookkeeping would else cost more than the arithmetic. The numbers are AdamW's own.
"""

import math
from dataclasses import dataclass, field

import torch

_LN_100 = math.log(100)


def learning_rate_factor(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at `step` (from 0): linear warm-up, then cosine to zero, as open_clip's."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


@dataclass
class Group:
    """Parameters of one treatment, as one flat tensor of values, gradients and both moments."""

    name: str
    scale: float
    decay: float
    parameters: list[tuple[str, torch.nn.Parameter]] = field(default_factory=list)


class FlatAdamW:
    """AdamW: decay on matrices only, a learning rate of its own for the token embedding, clipping by global norm."""

    def __init__(
        self, model, *, weight_decay: float, beta1: float, beta2: float, clip: float | None, embedding_scale: float,
        on_device: bool = False,
    ):
        """`on_device`: learning rates are tensors, so that a captured graph can be replayed with other ones."""
        self._clip, self._logit_scale = clip, model.logit_scale
        self._groups = _grouped(model, weight_decay, embedding_scale)
        self.values, self.gradients = _flattened(self._groups)
        self._flat = list(self.values.values())
        self._grads = list(self.gradients.values())
        for flat, grad in zip(self._flat, self._grads):
            flat.grad = grad
        options = [
            {"params": [flat], "weight_decay": group.decay, "scale": group.scale,
             "lr": torch.zeros((), device=flat.device) if on_device else 0.0}
            for flat, group in zip(self._flat, self._groups)
        ]
        # eps as open_clip sets it for ViTs
        self._adamw = torch.optim.AdamW(
            options, betas=(beta1, beta2), eps=1e-6, fused=True, capturable=on_device and self._flat[0].is_cuda
        )

    def step(self, learning_rate: float | torch.Tensor) -> None:
        """One update from the gradients gathered since `zero`; a rate on the device stays there."""
        if self._clip is not None:
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in self._grads]))
            factor = torch.clamp(self._clip / (norm + 1e-6), max=1.0)
            for grad in self._grads:
                grad.mul_(factor)
        for group in self._adamw.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].copy_(learning_rate * group["scale"])
            else:
                group["lr"] = learning_rate * group["scale"]
        self._adamw.step()
        with torch.no_grad():
            self._logit_scale.clamp_(0, _LN_100)

    def zero(self) -> None:
        for grad in self._grads:
            grad.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        """Values, both moments and the step count, by name: all that a resumed run needs."""
        tensors = {}
        for name, flat in self.values.items():
            tensors[f"value.{name}"] = flat.detach()
            for key, value in self._adamw.state.get(flat, {}).items():
                tensors[f"{key}.{name}"] = value
        return tensors

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take over what `state` gave."""
        with torch.no_grad():
            for name, flat in self.values.items():
                flat.copy_(tensors[f"value.{name}"])
                keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in tensors]
                self._adamw.state[flat] = {
                    key: tensors[f"{key}.{name}"].to(flat.device, copy=True) for key in keys
                }


def _grouped(model, weight_decay: float, embedding_scale: float) -> list[Group]:
    decayed, plain = Group("matrices", 1.0, weight_decay), Group("vectors", 1.0, 0.0)
    embedding = Group("token_embedding", embedding_scale, 0.0)
    for name, parameter in model.named_parameters():
        if name == "token_embedding.weight":
            embedding.parameters.append((name, parameter))
        elif parameter.ndim < 2 or "embedding" in name:
            plain.parameters.append((name, parameter))
        else:
            decayed.parameters.append((name, parameter))
    return [group for group in (decayed, plain, embedding) if group.parameters]


def _flattened(groups: list[Group]) -> tuple[dict, dict]:
    """Make every parameter and its gradient a view into its group's flat tensors; return those by group name."""
    values, gradients = {}, {}
    for group in groups:
        members = [parameter for _, parameter in group.parameters]
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in members])
        grad, start = torch.zeros_like(flat), 0
        for parameter in members:
            end = start + parameter.numel()
            parameter.data = flat[start:end].view_as(parameter)
            parameter.grad = grad[start:end].view_as(parameter)
            start = end
        values[group.name], gradients[group.name] = flat, grad
    return values, gradients

import copy

import pytest
import torch

from clip_scaling.train.models import architecture, build_model
from clip_scaling.train.optimizer import FlatAdamW, learning_rate_factor


def _model():
    return build_model({**architecture("ViT-XXS-8")}, seed=0)


def _plain_adamw(model):
    groups = {True: [], False: [], "embedding": []}
    for name, parameter in model.named_parameters():
        if name == "token_embedding.weight":
            groups["embedding"].append(parameter)
        else:
            groups[parameter.ndim >= 2 and "embedding" not in name].append(parameter)
    return torch.optim.AdamW(
        [{"params": groups[True], "weight_decay": 0.1, "lr": 1e-3}, {"params": groups[False], "lr": 1e-3},
         {"params": groups["embedding"], "lr": 5e-3}],
        betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0, foreach=False, fused=False,
    )


def test_flat_steps_are_torchs_adamw():
    """Against torch's own optimizer on separate tensors, gradient clipping included."""
    plain = _model()
    flat = copy.deepcopy(plain)
    reference = _plain_adamw(plain)
    optimizer = FlatAdamW(flat, weight_decay=0.1, beta1=0.9, beta2=0.98, clip=1.0, embedding_scale=5.0)
    generator = torch.Generator().manual_seed(1)
    for step in range(4):
        optimizer.zero()
        for one, other in zip(plain.parameters(), flat.parameters(), strict=True):
            one.grad = torch.randn(one.shape, generator=generator) * 10.0 ** -(step * 3)
            other.grad.copy_(one.grad)
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        reference.step()
        optimizer.step(1e-3)
    for (name, one), (_, other) in zip(plain.named_parameters(), flat.named_parameters()):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-5, msg=name)


def test_logit_scale_is_clamped():
    model = _model()
    optimizer = FlatAdamW(model, weight_decay=0.0, beta1=0.9, beta2=0.98, clip=1.0, embedding_scale=1.0)
    model.logit_scale.data.fill_(9.0)
    optimizer.zero()
    optimizer.step(1e-3)
    assert model.logit_scale.exp().item() == pytest.approx(100.0)


def test_state_restores_exactly():
    def run(resume_at):
        model = _model()
        optimizer = FlatAdamW(model, weight_decay=0.1, beta1=0.9, beta2=0.98, clip=1.0, embedding_scale=2.0)
        for step in range(5):
            if step == resume_at:
                state = {name: value.clone() for name, value in optimizer.state().items()}
                model = _model()
                optimizer = FlatAdamW(model, weight_decay=0.1, beta1=0.9, beta2=0.98, clip=1.0, embedding_scale=2.0)
                optimizer.load(state)
            optimizer.zero()
            for number, parameter in enumerate(model.parameters()):
                parameter.grad.copy_(torch.sin(parameter.detach() * 7 + number + step))
            optimizer.step(1e-3)
        return model.state_dict()

    undisturbed = run(None)
    for step in (0, 1, 3):
        resumed = run(step)
        assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_schedule():
    factors = [learning_rate_factor(step, steps=100, warmup=10) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1.0 and factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert all(a >= b for a, b in zip(factors[9:], factors[10:])) and 0 < factors[-1] < 0.001
    assert learning_rate_factor(0, steps=5, warmup=0) == 1.0

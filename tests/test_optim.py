"""The optimiser against torch's own, its checkpoint, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distrust.optim import Optimiser


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def move(model: nn.Module, optimiser: Optimiser, steps: range) -> None:
    for step in steps:
        draw = torch.Generator().manual_seed(step)
        model(torch.randn(5, 3, generator=draw)).pow(2).sum().backward()
        optimiser.step(1 / (step + 1))


def test_a_step_is_adamw_worked_out_in_double_precision() -> None:
    """Loshchilov and Hutter 2019, algorithm 2, with the gradient's norm clipped to 0.5 before."""
    weight = nn.Parameter(torch.tensor([0.3, -0.7, 2.0]))
    module = nn.ParameterList([weight])
    optimiser = Optimiser(module, 0.1, 0.01, max_grad_norm=0.5)
    value, first, second = [0.3, -0.7, 2.0], [0.0] * 3, [0.0] * 3
    for step in range(1, 6):
        (weight.pow(3) / 3).sum().backward()
        optimiser.step(factor := 1 / step)
        gradient = [one**2 for one in value]
        norm = sum(one**2 for one in gradient) ** 0.5
        gradient = [one * min(1, 0.5 / (norm + 1e-6)) for one in gradient]
        for i in range(3):
            first[i] = 0.9 * first[i] + 0.1 * gradient[i]
            second[i] = 0.999 * second[i] + 0.001 * gradient[i] ** 2
            value[i] -= 0.1 * factor * 0.01 * value[i]
            root = (second[i] / (1 - 0.999**step)) ** 0.5 + 1e-8
            value[i] -= 0.1 * factor * first[i] / (1 - 0.9**step) / root
    assert weight.tolist() == pytest.approx(value, abs=1e-5)


def test_gradients_are_forgotten_after_a_step() -> None:
    model = network()
    optimiser = Optimiser(model, 0.1, 0.0, None)
    move(model, optimiser, range(1))
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())


def test_it_goes_on_bit_for_bit_from_its_tensors() -> None:
    model, optimiser = (whole := network()), Optimiser(whole, 0.1, 0.01, 1.0)
    move(model, optimiser, range(6))
    broken = network()
    before = Optimiser(broken, 0.1, 0.01, 1.0)
    move(broken, before, range(3))
    kept = {name: value.clone() for name, value in before.tensors().items()}
    after = Optimiser(broken, 0.1, 0.01, 1.0)
    after.load(kept)
    assert all(torch.equal(value, after.tensors()[name]) for name, value in kept.items())
    move(broken, after, range(3, 6))
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), broken.parameters(), strict=True))


def test_an_optimiser_that_has_not_moved_has_nothing_to_keep() -> None:
    optimiser = Optimiser(network(), 0.1, 0.0, None)
    assert optimiser.tensors() == {}
    optimiser.load({})


def test_frozen_parts_stay_and_a_part_without_gradient_waits() -> None:
    model = network()
    model[0].requires_grad_(False)
    unused = nn.Linear(2, 2)
    before = [one.clone() for one in (*model[0].parameters(), *unused.parameters())]
    optimiser = Optimiser(nn.ModuleList([model, unused]), 0.1, 0.01, 1.0)
    moved = model[2].weight.clone()
    move(model, optimiser, range(2))
    now = (*model[0].parameters(), *unused.parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, now, strict=True))
    assert not torch.equal(moved, model[2].weight)


def test_a_small_gradient_is_not_scaled_up() -> None:
    weights = []
    for norm in (None, 1e6):
        model = network()
        move(model, Optimiser(model, 0.1, 0.0, norm), range(3))
        weights.append(model[0].weight)
    assert torch.equal(*weights)

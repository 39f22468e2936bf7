"""Rows of logits turned in place into gradients: in closed form what torch differentiates, whatever the weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from distrust import losses
from distrust.losses.blocks import Rows, differentiate, differentiate_both
from tests.losses.loops import F64, pair


def rows(loss: Callable[..., Tensor], closed: bool, targets: int = 1, alpha: float | None = None) -> Rows:
    return Rows(loss, 1.0, (None,) * (1 + targets), closed, ruled=True, alpha=alpha)


@pytest.mark.parametrize("targets", [1, 3])
def test_the_closed_form_is_what_torch_finds(targets: int) -> None:
    student, teachers = pair(5, 7)[0], [pair(5, 7, seed=seed)[1] for seed in range(targets)]
    weights = torch.ones(1, 5, dtype=F64)  # of one target the caller applies them
    if targets == 1:
        student[2, :3] = teachers[0][2, :3] = -torch.inf  # what the one teacher does not know, the student is not asked
    else:
        weights = torch.rand(targets, 5, generator=torch.Generator().manual_seed(0), dtype=F64)
    found = []
    for closed in (True, False):
        work, told, spare = student.clone(), [one.clone() for one in teachers], torch.empty(5, 7, dtype=F64)
        values = differentiate(rows(losses.forward_kl, closed, targets), work, told, weights, spare)
        found.append((values, work))
    for mine, torchs in zip(*found, strict=True):
        assert torch.allclose(mine, torchs, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_both_sides_in_closed_form_are_what_torch_finds(alpha: float) -> None:
    student, teacher = pair(4, 6, seed=3)
    labels, weights = torch.tensor([2, -1, 0, 5]), torch.ones(4, dtype=F64)
    found = []
    for closed in (True, False):
        s, t = student.clone(), teacher.clone()
        values = differentiate_both(
            rows(losses.forward_kl, closed, 1, alpha), s, t, labels, weights, torch.empty(8, 6, dtype=F64)
        )
        found.append((*values, s, t))
    for mine, torchs in zip(*found, strict=True):
        assert torch.allclose(mine, torchs, atol=1e-12)


def test_half_precision_is_worked_out_in_single_and_written_back() -> None:
    student, teacher = (one.bfloat16() for one in pair(3, 5))
    exact = student.float().requires_grad_()
    (gradient,) = torch.autograd.grad(losses.jensen_shannon(exact, teacher.float()).sum(), exact)
    work = student.clone()
    values = differentiate(rows(losses.jensen_shannon, False), work, [teacher], torch.ones(1, 3), torch.empty(3, 5))
    assert work.dtype == torch.bfloat16 and values.dtype == torch.float32
    assert torch.equal(work, gradient.bfloat16())

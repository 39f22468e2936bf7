"""Divergences from a mixture: their bounds, their ends, and what takes part in a gradient; values are in test_family."""

from __future__ import annotations

import math

import pytest
import torch

from distrust import losses
from tests.losses.loops import F64, pair


def test_the_gradient_of_the_interpolated_kl_takes_the_target_as_given() -> None:
    student, teacher = pair(2, 4, seed=3)
    student.requires_grad_()
    (mine,) = torch.autograd.grad(losses.interpolated_kl(student, teacher, 2.0, share=0.3).sum(), student)
    target = (0.7 * student.detach() + 0.3 * teacher).div(2).softmax(-1)
    assert torch.allclose(mine, 2 * ((student.detach() / 2).softmax(-1) - target), atol=1e-12)
    nothing = losses.interpolated_kl(student, teacher, share=torch.tensor(0.0))
    assert torch.equal(nothing, torch.zeros(2, dtype=F64)) and bool(
        losses.interpolated_kl(student, teacher, share=1.0).gt(0).all()
    )


def test_the_jump_of_jensen_shannon_at_its_ends_is_what_the_docs_say() -> None:
    p, q = torch.tensor([0.25, 0.75], dtype=F64).log(), torch.zeros(2, dtype=F64)
    near = [float(losses.jensen_shannon(q, p, beta=beta)) for beta in (0.001, 0.999)]
    ends = [float(losses.jensen_shannon(q, p, beta=beta)) for beta in (0, 1)]
    assert [round(one, 5) for one in near + ends] == [0.00013, 0.00014, 0.13081, 0.14384]


@pytest.mark.parametrize("p", [(1.0, 0.0, 0.0), (0.5, 0.5, 0.0)])
def test_they_keep_their_bounds(p: tuple[float, ...]) -> None:
    teacher = torch.tensor(p).log()
    student = torch.tensor([-1e4, -1e4, 0.0])
    assert float(losses.jensen_shannon(student, torch.tensor(p).clamp(min=1e-30).log())) == pytest.approx(math.log(2))
    assert float(losses.skew_forward_kl(student, teacher.clamp(min=-1e4))) == pytest.approx(-math.log(0.1))
    assert float(losses.skew_reverse_kl(student, teacher.clamp(min=-1e4))) == pytest.approx(-math.log(0.1))

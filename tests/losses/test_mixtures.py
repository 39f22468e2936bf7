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


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_what_the_student_rules_out_is_ruled_out_on_the_way_to_the_teacher(share: float) -> None:
    """At the teacher itself it is no more: the forward KL to what the student rules out is infinite."""
    student, teacher = torch.tensor([[0.2, -math.inf, 1.0]], requires_grad=True), torch.tensor([[1.0, 0.5, -0.3]])
    left = torch.tensor([0, 2])
    for given in (share, torch.tensor(share)):
        value = losses.interpolated_kl(student, teacher, share=given)
        (gradient,) = torch.autograd.grad(value, student)
        alone = losses.interpolated_kl(student[:, left], teacher[:, left], share=given)
        assert float(value.detach()) == (math.inf if share == 1 else pytest.approx(float(alone.detach()), abs=1e-7))
        assert bool(gradient.isfinite().all()) and (share == 1 or float(gradient[0, 1]) == 0)

"""Losses towards what a store holds: the top k with a tail, and draws, beside the whole distribution."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from distrust import losses
from distrust.errors import DataError
from distrust.logits import TopK, top

F64 = torch.float64


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=draw, dtype=F64), torch.randn(*shape, generator=draw, dtype=F64)


def test_top_k_is_a_kl_over_k_classes_and_any_other() -> None:
    student, teacher = pair(2, 3, 6)
    values = losses.topk_kl(student, top(teacher, 2))
    assert values.shape == (2, 3)
    for place in range(6):
        p, q = (side.reshape(6, 6)[place].softmax(-1).tolist() for side in (teacher, student))
        kept = sorted(range(6), key=lambda c, p=p: -p[c])[:2]  # type: ignore[misc]
        events = [([p[c], q[c]]) for c in kept] + [[1 - sum(p[c] for c in kept), 1 - sum(q[c] for c in kept)]]
        looped = sum(first * math.log(first / second) for first, second in events)
        assert float(values.flatten()[place]) == pytest.approx(looped, rel=1e-9)
    whole = losses.forward_kl(student, teacher)
    assert bool((values <= whole + 1e-12).all())
    for k in (1, 3, 5):
        assert torch.autograd.gradcheck(
            lambda z, k=k: losses.topk_kl(z, top(teacher, k), 2.0), (student.clone().requires_grad_(),)
        )


def test_all_classes_kept_is_the_forward_kl_and_equality_is_zero() -> None:
    student, teacher = pair(4, 5)
    assert torch.allclose(losses.topk_kl(student, top(teacher, 5), 2.0), losses.forward_kl(student, teacher, 2.0))
    assert losses.topk_kl(teacher, top(teacher, 2)).tolist() == pytest.approx([0] * 4, abs=1e-9)


def test_a_temperature_takes_the_tail_as_spread_evenly() -> None:
    student, teacher = torch.zeros(1, 4, dtype=F64), torch.tensor([[2.0, 0.5, 0.5, 0.5]], dtype=F64)
    assert torch.allclose(losses.topk_kl(student, top(teacher, 1), 3.0), losses.forward_kl(student, teacher, 3.0))


@pytest.mark.parametrize("scale", [200.0, 1e4, math.inf])
def test_saturated_students_silent_teachers_and_no_tail(scale: float) -> None:
    target = TopK(torch.tensor([[0, 1], [1, 2], [0, 1]]), torch.tensor([[0.0, -math.inf], [-0.7, -0.7], [-math.inf] * 2]),
                  torch.tensor([0.0, 0.0068, 0.0]), 3)  # fmt: skip
    student = torch.tensor([[1.0, 0, 2], [-scale, 0, 0], [0, 1, 2]], requires_grad=True)
    value = losses.topk_kl(student, target)
    (gradient,) = torch.autograd.grad(value.sum(), student)
    assert bool(gradient.isfinite().all()) and value[2].item() == 0 and gradient[2].tolist() == [0, 0, 0]
    assert bool(value[[0, 2]].isfinite().all())


def test_draws_are_unbiased_in_the_gradient() -> None:
    student, teacher = torch.zeros(3, requires_grad=True), torch.tensor([2.0, 1.0, 0.0])
    drawn = losses.sampled(teacher.expand(400, 3), 50, torch.Generator().manual_seed(0))
    assert drawn.ids.shape == drawn.weights.shape == (400, 50) and float(drawn.weights[0].sum()) == pytest.approx(1)
    mean = losses.sampled_cross_entropy(student.expand(400, 3), drawn).mean()
    (gradient,) = torch.autograd.grad(mean, student)
    (exact,) = torch.autograd.grad(losses.forward_kl(student, teacher), student)
    assert torch.allclose(gradient, exact, atol=4 * 0.5 / math.sqrt(400 * 50))
    again = losses.sampled(teacher.expand(400, 3), 50, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.ids, again.ids)


def test_draws_weigh_by_a_loop_and_nobody_says_nothing() -> None:
    student = torch.tensor([[0.5, -1.0, 2.0], [1, 2, 3]], dtype=F64)
    target = losses.Sampled(torch.tensor([[0, 2, 0], [1, 1, 1]]), torch.tensor([[1 / 3] * 3, [0.0] * 3], dtype=F64), 3)
    log_q = student[0].log_softmax(-1).tolist()
    expected = -(2 * log_q[0] + log_q[2]) / 3
    assert losses.sampled_cross_entropy(student, target).tolist() == pytest.approx([expected, 0])
    assert float(losses.sampled(torch.full((1, 3), -math.inf), 2).weights.sum()) == 0
    assert target.select(torch.tensor([1])).ids.tolist() == [[1, 1, 1]]


def test_what_does_not_fit_is_refused() -> None:
    student, teacher = pair(2, 3)
    with pytest.raises(DataError, match="over 3 classes but the student's logits are \\(2, 4\\)"):
        losses.topk_kl(torch.zeros(2, 4), top(teacher, 2))
    with pytest.raises(DataError, match="legal are"):
        losses.sampled_cross_entropy(student[:1], losses.sampled(teacher, 2))
    with pytest.raises(DataError, match="draws is 0; legal is 1 or more"):
        losses.sampled(teacher, 0)
    with pytest.raises(DataError, match="legal for 1 alone"):
        losses.sampled_cross_entropy(student, losses.sampled(teacher, 2), 2.0)

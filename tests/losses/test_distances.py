"""Distances that are no KL: their bounds and limits, and vocabularies that do not match; values are in test_family."""

from __future__ import annotations

import math

import pytest
import torch

from distrust import losses
from distrust.errors import DataError
from tests.losses.loops import F64, pair, softmax


def test_total_variation_is_one_where_the_sides_share_nothing() -> None:
    teacher = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]).log().clamp(min=-1e4)
    student = torch.tensor([[-1e4, -1e4, 0.0]] * 2)
    assert losses.total_variation(student, teacher).tolist() == pytest.approx([1, 1])
    assert losses.total_variation(student, teacher, temperature=2.0).tolist() == pytest.approx([4, 4]), "T² of it"


def test_alpha_beta_at_a_half_is_four_times_the_squared_hellinger_distance() -> None:
    student, teacher = pair(3, 5)
    for row, value in enumerate(losses.alpha_beta(student, teacher, alpha=0.5, beta=0.5).tolist()):
        p, q = softmax(teacher[row].tolist()), softmax(student[row].tolist())
        hellinger = sum((math.sqrt(x) - math.sqrt(y)) ** 2 for x, y in zip(p, q, strict=True)) / 2
        assert value == pytest.approx(4 * hellinger, rel=1e-9)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.4, 0.0), (0.0, 1.0)])
def test_alpha_beta_goes_over_into_its_limits(alpha: float, beta: float) -> None:
    student, teacher = pair(4, 5, seed=2)
    near = losses.alpha_beta(student, teacher, alpha=alpha or 1e-5, beta=beta or 1e-5)
    assert torch.allclose(near, losses.alpha_beta(student, teacher, alpha=alpha, beta=beta), rtol=1e-3)


def test_sorted_distance_compares_vocabularies_of_any_size() -> None:
    student, teacher = pair(3, 4)[0].requires_grad_(), pair(3, 6)[1]
    value = losses.sorted_distance(student, teacher).detach()
    for row in range(3):
        q = [*sorted(softmax(student[row].tolist()), reverse=True), 0.0, 0.0]
        p = sorted(softmax(teacher[row].tolist()), reverse=True)
        assert float(value[row]) == pytest.approx(sum(abs(x - y) for x, y in zip(p, q, strict=True)), rel=1e-12)
    assert torch.autograd.gradcheck(lambda z: losses.sorted_distance(z, teacher), (student,))
    padded = torch.cat([teacher, torch.full((3, 2), -math.inf, dtype=F64)], -1)
    assert torch.allclose(losses.sorted_distance(student, padded), value)


def test_sorted_distance_of_other_items_is_refused() -> None:
    with pytest.raises(DataError, match="the last size alone may differ"):
        losses.sorted_distance(torch.zeros(2, 3), torch.zeros(3, 5))

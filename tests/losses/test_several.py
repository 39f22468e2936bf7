"""Losses towards several teachers, against naive loops and a general solver."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from distrust import losses
from distrust.errors import DataError

INF = math.inf


def draw(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# the weighted divergence


def test_it_is_the_sum_of_weighted_divergences_item_by_item() -> None:
    student, teachers = draw(5, 4), 2 * draw(3, 5, 4, seed=1)
    weights = draw(3, 5, seed=2).softmax(0)
    found = losses.weighted_kl(student, teachers, weights, 3.0)
    for item in range(5):
        total = 0.0
        q = [math.exp(one / 3) for one in student[item].tolist()]
        for teacher in range(3):
            p = [math.exp(one / 3) for one in teachers[teacher, item].tolist()]
            kl = sum(a / sum(p) * (math.log(a / sum(p)) - math.log(b / sum(q))) for a, b in zip(p, q, strict=True))
            total += float(weights[teacher, item]) * 9 * kl
        assert float(found[item]) == pytest.approx(total, rel=1e-12)


def test_its_gradient_is_that_of_the_sum_and_of_one_divergence_to_the_mean() -> None:
    """Trap 3: in double precision, to 1e-12."""
    student, teachers = draw(6, 5).requires_grad_(), 3 * draw(4, 6, 5, seed=1)
    weights = draw(4, 6, seed=2).softmax(0)
    one_by_one = sum((weights[k] * losses.forward_kl(student, teachers[k], 4.0)).sum() for k in range(4))
    assert isinstance(one_by_one, Tensor)
    (expected,) = torch.autograd.grad(one_by_one, student)
    (found,) = torch.autograd.grad(losses.weighted_kl(student, teachers, weights, 4.0).sum(), student)
    mean = (weights.unsqueeze(-1) * (teachers / 4).softmax(-1)).sum(0)
    (to_mean,) = torch.autograd.grad(16 * losses.cross_entropy(student / 4, mean).sum(), student)
    assert (found - expected).abs().max() < 1e-12 and (to_mean - expected).abs().max() < 1e-12


def test_it_is_zero_at_equality_and_with_one_teacher_a_plain_divergence() -> None:
    student, teachers = draw(6, 5), 3 * draw(1, 6, 5, seed=1)
    one = torch.ones(1, 6, dtype=torch.float64)
    plain = losses.forward_kl(student, teachers[0], 2.0)
    assert torch.allclose(losses.weighted_kl(student, teachers, one, 2.0), plain, atol=1e-14)
    same = losses.weighted_kl(student, student.expand(3, 6, 5), torch.full((3, 6), 1 / 3).double(), 4.0)
    assert same.abs().max() < 1e-13


def test_silent_teachers_and_saturated_ones_leave_it_finite() -> None:
    student = torch.tensor([[200.0, -200.0], [0.0, 0.0]], requires_grad=True)
    teachers = torch.tensor([[[-200.0, 200.0], [0.0, -INF]], [[-INF, -INF], [-INF, -INF]]])
    value = losses.weighted_kl(student, teachers, torch.ones(2, 2), 1.0)
    assert value.tolist() == pytest.approx([400.0, math.log(2)], rel=1e-6)
    value.sum().backward()
    assert student.grad is not None and bool(student.grad.isfinite().all())


@pytest.mark.parametrize(
    ("teachers", "weights", "temperature", "sentence"),
    [
        ((3, 4, 2), (3, 4), 0.0, "temperature is 0"),
        ((3, 4, 5), (3, 4), 1.0, "legal are"),
        ((3, 4, 2), (4,), 1.0, "legal are"),
    ],
)
def test_shapes_and_temperatures_that_do_not_fit_are_refused(
    teachers: tuple[int, ...], weights: tuple[int, ...], temperature: float, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        losses.weighted_kl(torch.zeros(4, 2), torch.zeros(teachers), torch.ones(weights), temperature)


# hints


def test_a_hint_is_a_mean_over_everything_but_items() -> None:
    first, second = draw(3, 2, 4, 5), draw(3, 2, 4, 5, seed=1)
    for item in range(3):
        gaps = [(a - b) ** 2 for a, b in zip(first[item].flatten().tolist(), second[item].flatten().tolist(), strict=True)]
        assert float(losses.hint(first, second)[item]) == pytest.approx(sum(gaps) / 40, rel=1e-12)
    assert losses.hint(draw(3, 7), draw(3, 7)).tolist() == [0, 0, 0]
    with pytest.raises(DataError, match="both are one size"):
        losses.hint(draw(3, 7), draw(3, 6))


def test_a_map_is_pooled_where_it_is_larger_and_interpolated_else() -> None:
    feature = draw(2, 3, 4, 4)
    assert losses.resized(feature, (4, 4)) is feature
    pooled = losses.resized(feature, (2, 2))
    assert float(pooled[1, 2, 0, 1]) == pytest.approx(float(feature[1, 2, :2, 2:].mean()), rel=1e-14)
    grown = losses.resized(feature, (8, 8))
    assert grown.shape == (2, 3, 8, 8) and float(grown[0, 0, 0, 0]) == pytest.approx(float(feature[0, 0, 0, 0]))
    assert losses.resized(feature, (8, 2)).shape == (2, 3, 8, 2)


# the least combination


@given(st.integers(1, 7), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.3, 0.6, 1.0]), st.floats(0, 5))
def test_it_is_the_minimum_within_the_cap(teachers: int, size: int, seed: int, cap: float, common: float) -> None:
    """Trap 9: Σ a = 1 and 0 ≤ a_k ≤ C, and no other combination is shorter (scipy's general solver)."""
    gradients = draw(teachers, size, seed=seed) + common * draw(size, seed=seed + 1)
    found = losses.least_combination(gradients, cap)
    cap = max(cap, 1 / teachers)
    assert float(found.sum()) == pytest.approx(1, abs=1e-9) and 0 <= float(found.min()) <= float(found.max()) <= cap + 1e-12
    products = (gradients @ gradients.T).numpy()
    products = products / np.trace(products)
    best = minimize(
        lambda a: 0.5 * a @ products @ a,
        np.full(teachers, 1 / teachers),
        jac=lambda a: products @ a,
        bounds=[(0, cap)] * teachers,
        constraints=[{"type": "eq", "fun": lambda a: a.sum() - 1, "jac": lambda a: np.ones(teachers)}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert 0.5 * float(found.numpy() @ products @ found.numpy()) <= best.fun + 1e-4


def test_by_hand() -> None:
    opposed = losses.least_combination(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))
    assert opposed.tolist() == pytest.approx([0.75, 0.25])
    capped = losses.least_combination(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]), 0.6)
    assert capped.tolist() == pytest.approx([0.6, 0.4])
    assert losses.least_combination(torch.tensor([[1.0, 0.0], [5.0, 0.0]])).tolist() == [1, 0]
    assert losses.least_combination(torch.zeros(3, 4)).tolist() == pytest.approx([1 / 3] * 3)
    assert losses.least_combination(torch.ones(1, 4), 0.6).tolist() == [1]


def test_it_carries_no_gradient_and_teachers_may_be_permuted() -> None:
    gradients = draw(4, 9).requires_grad_()
    found = losses.least_combination(gradients, 0.6)
    assert not found.requires_grad
    order = [2, 0, 3, 1]
    assert torch.allclose(losses.least_combination(gradients[order], 0.6), found[order], atol=1e-5)


@pytest.mark.parametrize(("size", "cap"), [((3,), 0.6), ((0, 3), 0.6), ((2, 3), 0.0)])
def test_wrong_gradients_or_caps_are_refused(size: tuple[int, ...], cap: float) -> None:
    with pytest.raises(DataError, match="legal is"):
        losses.least_combination(torch.zeros(size), cap)

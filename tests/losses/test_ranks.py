"""Losses by the order of classes: what weighs head against tail, and soft ranks by a loop; values are in test_family."""

from __future__ import annotations

import math

import pytest
import torch

from distrust import losses
from tests.losses.loops import Rows, kl, naive_akl, pair, softmax

INF = math.inf


def test_the_gradient_of_the_adaptive_kl_is_that_of_its_two_parts() -> None:
    student, teacher = pair(1, 4, seed=3)
    student.requires_grad_()
    p, q = softmax(teacher[0].tolist()), softmax(student[0].tolist())
    (mine,) = torch.autograd.grad(losses.adaptive_kl(student, teacher).sum(), student)
    forward, reverse = kl(p, q), kl(q, p)
    share = (naive_akl(p, q, 0.5) - reverse) / (forward - reverse)
    both = share * losses.forward_kl(student, teacher) + (1 - share) * losses.reverse_kl(student, teacher)
    assert torch.allclose(mine, torch.autograd.grad(both.sum(), student)[0], atol=1e-12)


def naive_ranking(student: Rows, teacher: Rows, top: int) -> float:
    def distance(classes: list[int]) -> float:
        ranks = []
        for side in (student, teacher):
            rank = [sum(1 / (1 + math.exp(side[c] - side[o])) for o in classes) for c in classes]
            ranks.append([one - sum(rank) / len(rank) for one in rank])
        a, b = ranks
        return 1 - sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    tops = [sorted(range(len(side)), key=lambda c, side=side: -side[c])[:top] for side in (student, teacher)]  # type: ignore[misc]
    return sum(distance(classes) for classes in tops) / 2


def test_ranking_is_one_minus_a_rank_correlation() -> None:
    student, teacher = pair(4, 7, seed=5)
    values = losses.ranking(student, teacher, top=4)
    for row in range(4):
        assert float(values[row]) == pytest.approx(naive_ranking(student[row].tolist(), teacher[row].tolist(), 4), rel=1e-4)
    assert losses.ranking(teacher, teacher).tolist() == [0] * 4
    assert losses.ranking(teacher * 3 + 1, teacher, temperature=1e-3).tolist() == pytest.approx([0] * 4, abs=1e-6)
    hard = losses.ranking(-teacher, teacher, top=7, temperature=1e-4)
    assert hard.tolist() == pytest.approx([2] * 4, abs=1e-4)  # turned round
    assert torch.autograd.gradcheck(lambda z: losses.ranking(z, teacher, top=4), (student.requires_grad_(),))


def test_ranking_of_ties_of_one_class_and_of_nobody_is_finite() -> None:
    student = torch.tensor([[0.0, 0, 0], [1e4, -1e4, 0], [1, 2, 3], [-INF, 1, 2]], requires_grad=True)
    teacher = torch.tensor([[0.0, 1, 2], [0, 0, 0], [-INF, -INF, -INF], [0, 1, -INF]])
    for top in (1, 2, 3):
        value = losses.ranking(student, teacher, top=top)
        (gradient,) = torch.autograd.grad(value.sum(), student)
        assert bool(value.isfinite().all()) and bool(gradient.isfinite().all()) and value[2].item() == 0
    assert losses.ranking(student, teacher, top=1).tolist() == [0] * 4

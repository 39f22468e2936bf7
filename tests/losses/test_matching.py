"""Discrepancy: its definition by loops, where it is 0, and its gradient."""

from __future__ import annotations

import math

import pytest
import torch

from distrust.errors import DataError
from distrust.losses.matching import WIDTHS, discrepancy


def test_it_is_what_loops_make_of_it() -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.randn(count, 3, generator=draw, dtype=torch.double) for count in (4, 3))
    points = [*one.tolist(), *other.tolist()]
    apart = [[sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for q in points] for p in points]
    scale = sum(map(sum, apart)) / 49

    def k(i: int, j: int) -> float:
        return sum(math.exp(-apart[i][j] / (width * scale)) for width in WIDTHS) / len(WIDTHS)

    first, second = range(4), range(4, 7)
    wanted = (
        sum(k(i, j) for i in first for j in first) / 16
        + sum(k(i, j) for i in second for j in second) / 9
        - 2 * sum(k(i, j) for i in first for j in second) / 12
    )
    assert float(discrepancy(one, other)) == pytest.approx(wanted)


def test_equal_clouds_in_any_order_are_no_distance_apart_and_far_ones_are() -> None:
    one = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    assert float(discrepancy(one, one.flip(0))) == pytest.approx(0, abs=1e-6)
    assert float(discrepancy(one, one + 5)) > 0.3
    same = torch.ones(3, 2, requires_grad=True)
    discrepancy(same, torch.ones(2, 2)).backward()
    assert same.grad is not None and bool(same.grad.isfinite().all())


def test_descent_brings_the_clouds_together() -> None:
    draw = torch.Generator().manual_seed(2)
    moved, other = torch.randn(30, 2, generator=draw) + 2, torch.randn(30, 2, generator=draw)
    moved.requires_grad_()
    before = float(discrepancy(moved, other).detach())
    for _ in range(20):
        (grad,) = torch.autograd.grad(discrepancy(moved, other), moved)
        moved = (moved - 20 * grad).detach().requires_grad_()
    assert float(discrepancy(moved, other)) < before / 2


@pytest.mark.parametrize("shapes", [((0, 2), (3, 2)), ((3, 2), (3, 4)), ((3,), (3,))])
def test_mistakes_are_sentences(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(DataError, match="legal are"):
        discrepancy(torch.zeros(shapes[0]), torch.zeros(shapes[1]))

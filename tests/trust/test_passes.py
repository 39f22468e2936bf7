"""Trust over passes: MUKA's equations 3 and 4, trap 7, and what passes leave behind."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust.errors import DataError
from distrust.trust.distribution import certainty, entropy
from distrust.trust.passes import consensus, mc_certainty, spread_apart


def drawn(seed: int, passes: int, classes: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(passes, 5, classes, generator=draw, dtype=torch.double)).softmax(-1)


def naive(rows: list[list[float]]) -> tuple[float, float]:
    """Equations 3 and 4, and mutual information over log C, of one item's passes: by loops."""
    classes = len(rows[0])
    mean = [sum(row[c] for row in rows) / len(rows) for c in range(classes)]

    def h(p: list[float]) -> float:
        return -sum(one * math.log(one) for one in p if one > 0)

    return 1 - h(mean) / math.log(classes), 1 - (h(mean) - sum(map(h, rows)) / len(rows)) / math.log(classes)


@given(st.integers(0, 99), st.integers(1, 5), st.integers(2, 6))
def test_both_are_what_a_loop_makes_of_them(seed: int, passes: int, classes: int) -> None:
    given = drawn(seed, passes, classes)
    wanted = [naive(given[:, row].tolist()) for row in range(5)]
    assert mc_certainty(given).tolist() == pytest.approx([one for one, _ in wanted], abs=1e-9)
    assert consensus(given).tolist() == pytest.approx([other for _, other in wanted], abs=1e-9)
    assert torch.equal(consensus(given), spread_apart(given.mean(0), entropy(given).mean(0)))


def test_the_entropy_of_the_mean_is_not_the_mean_entropy() -> None:
    """Trap 7: two passes that are sure of opposite classes are as unsure as can be."""
    opposite = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert mc_certainty(opposite).item() == pytest.approx(0, abs=1e-6) and certainty(opposite).mean().item() == 1
    assert consensus(opposite).item() == pytest.approx(0, abs=1e-6)
    unsure = torch.full((2, 1, 2), 0.5)
    assert consensus(unsure).item() == 1, "unsure, and agreed on it"


def test_one_class_and_one_pass_and_saturation() -> None:
    assert mc_certainty(torch.ones(3, 2, 1)).tolist() == [1, 1] == consensus(torch.ones(3, 2, 1)).tolist()
    one = drawn(0, 1, 4)
    assert torch.equal(mc_certainty(one), certainty(one[0])) and consensus(one).tolist() == [1] * 5
    extreme = torch.tensor([[[1e6, 0.0, -1e6]]]).softmax(-1).requires_grad_()
    mc_certainty(extreme).sum().backward()
    assert extreme.grad is not None and bool(extreme.grad.isfinite().all())


@pytest.mark.parametrize("shape", [(0, 2, 3), (3,)])
def test_no_passes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="with a pass or more"):
        mc_certainty(torch.zeros(shape))

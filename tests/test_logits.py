"""Kinds of logits: the top k keeps what it says it keeps, and the exact mass of what it leaves out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.logits import top

INF = math.inf


@given(
    values=st.lists(st.floats(-60, 60, width=32), min_size=2, max_size=9).flatmap(
        lambda row: st.tuples(st.just(row), st.integers(1, len(row)))
    )
)
def test_the_top_and_the_rest_by_a_naive_sum(values: tuple[list[float], int]) -> None:
    row, k = values
    peak = max(row)
    total = math.fsum(math.exp(one - peak) for one in row)
    chances = sorted((math.exp(one - peak) / total for one in row), reverse=True)
    kept = top(torch.tensor([row]), k)
    assert kept.ids.shape == kept.logp.shape == (1, k) and kept.classes == len(row)
    torch.testing.assert_close(
        kept.logp[0].double().exp(), torch.tensor(chances[:k], dtype=torch.float64), rtol=1e-5, atol=0
    )
    assert float(kept.tail) == pytest.approx(math.fsum(chances[k:]), rel=1e-6), "small masses too: no 1 - sum"
    kept.check("it")
    assert float(kept.dense().double().exp().sum()) == pytest.approx(1, abs=1e-5)


def test_all_classes_lose_nothing_and_half_of_them_the_shape_of_the_rest() -> None:
    values = torch.tensor([[3.0, -INF, 1.0, 0.0], [-INF, -INF, -INF, -INF], [0.0, 0.0, 0.0, 0.0]])
    whole, half = top(values, 4).dense(), top(values, 2).dense()
    torch.testing.assert_close(whole[[0, 2]], values[[0, 2]].log_softmax(-1))
    assert bool((whole[1] == -INF).all()) and bool((half[1] == -INF).all()), "who says nothing still says nothing"
    rest = math.exp(0) / (math.exp(3) + math.exp(1) + math.exp(0))
    assert half[0].exp().tolist()[1] == half[0].exp().tolist()[3] == pytest.approx(rest / 2)
    tokens = top(torch.randn(2, 5, 7), 3)
    assert tokens.ids.shape == (2, 5, 3) and tokens.tail.shape == (2, 5) and tokens.dense().shape == (2, 5, 7)


@pytest.mark.parametrize("k", [0, -1, 4])
def test_no_number_of_classes(k: int) -> None:
    with pytest.raises(DataError, match="legal is 1 to 3"):
        top(torch.zeros(2, 3), k)

"""Kinds of logits: the top k keeps what it says it keeps, and the exact mass of what it leaves out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust import losses
from distrust.errors import DataError
from distrust.logits import Hidden, TopK, top

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


def test_top_k_spreads_its_tail_and_sums_to_one() -> None:
    top = TopK(torch.tensor([[2, 0]]), torch.tensor([[0.5, 0.3]]).log(), torch.tensor([0.2]), classes=4)
    assert top.dense().exp().tolist() == [pytest.approx([0.3, 0.1, 0.5, 0.1])]
    whole = TopK(torch.tensor([[1, 0]]), torch.tensor([[0.5, 0.5]]).log(), torch.tensor([-1e-8]), classes=3)
    assert whole.dense().exp().tolist() == [pytest.approx([0.5, 0.5, 0], abs=1e-30)]  # rounding in 1 - sum is no NaN
    tokens = TopK(torch.zeros(2, 3, 1, dtype=torch.long), torch.zeros(2, 3, 1), torch.zeros(2, 3), classes=5)
    assert tokens.dense().shape == (2, 3, 5)


def test_hidden_states_and_their_head_give_the_logits() -> None:
    h, head = torch.randn(2, 5, 4), torch.randn(3, 4)
    hidden = Hidden(h, head)
    looped = [[[float(h[b, t] @ head[c]) for c in range(3)] for t in range(5)] for b in range(2)]
    assert torch.allclose(hidden.dense(), torch.tensor(looped), atol=1e-6)
    assert torch.equal(hidden.select(torch.tensor([1])).dense(), hidden.dense()[[1]])


def test_a_tail_of_nothing_is_a_no_and_not_a_class_that_is_not_known() -> None:
    """Else a student is not charged at all where its teacher was sure: by the top k it is."""
    sure = TopK(torch.zeros(3, 1, dtype=torch.long), torch.tensor([[0.0], [0.0], [-INF]]), torch.zeros(3), classes=6)
    student = torch.tensor([[0.0, 5, 0, 0, 0, 0]]).expand(3, 6)
    spread = losses.forward_kl(student, sure.dense())
    torch.testing.assert_close(spread, losses.topk_kl(student, sure))
    assert float(spread[0]) > 5 and float(spread[2]) == 0, "who says nothing still says nothing"
    assert bool(losses.reverse_kl(student, sure.dense()).isfinite().all())
    known = top(torch.tensor([[1.0, -INF, 0.0]]), 3)
    assert known.dense()[0, 1] == -INF and top(torch.tensor([[1.0, -INF, -INF]]), 2).dense()[0, 1:].tolist() == [-INF] * 2

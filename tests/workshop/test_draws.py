"""Chance: even, in its range, repeatable, and for an item the same whichever items it is drawn beside."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.workshop.draws import ByItem, Draws, Together

COUNT = 20_000
IDS = [str(number) for number in range(COUNT)]
Make = Callable[[int], Draws]
KINDS: list[Make] = [
    lambda seed: Together(COUNT, torch.Generator().manual_seed(seed)),
    lambda seed: ByItem(IDS, seed),
]


@pytest.mark.parametrize("make", KINDS, ids=["together", "by item"])
def test_draws_are_even_fresh_and_repeatable(make: Make) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    draws = make(1)
    uniform, whole, again = draws.uniform(), draws.integers(-2, 3), draws.uniform()
    assert torch.equal(torch.get_rng_state(), before)
    assert uniform.dtype == torch.float64 and bool(((uniform >= 0) & (uniform < 1)).all())
    assert (uniform * 10).long().bincount(minlength=10).double().div(COUNT).tolist() == pytest.approx([0.1] * 10, abs=0.01)
    assert whole.dtype == torch.long and (whole + 2).bincount().div(COUNT).tolist() == pytest.approx([0.2] * 5, abs=0.015)
    for first, second in ((uniform, again), (uniform, whole.double())):  # each call a fresh one
        assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.03
    same, other = make(1), make(2)
    assert torch.equal(same.uniform(), uniform) and torch.equal(same.integers(-2, 3), whole)
    assert abs(float(torch.corrcoef(torch.stack([other.uniform(), uniform]))[0, 1])) < 0.03


@pytest.mark.parametrize("make", KINDS, ids=["together", "by item"])
def test_a_choice_is_in_proportion_and_never_of_a_zero(make: Make) -> None:
    for weights in ([0.0, 3.0, 0.0, 1.0, 0.0], [1e-30, 0.0, 3e-30], [1e30, 0.0, 3e30]):
        told = torch.tensor(weights, dtype=torch.float64)
        drawn = make(0).choice(told.expand(COUNT, -1))
        assert drawn.dtype == torch.long
        assert drawn.bincount(minlength=len(weights)).div(COUNT).tolist() == pytest.approx(
            (told / told.sum()).tolist(), abs=0.015
        )
        assert not set(drawn.tolist()) & {place for place, weight in enumerate(weights) if not weight}


@given(st.lists(st.text(), min_size=1, max_size=6, unique=True), st.integers(-(2**63), 2**63 - 1), st.data())
def test_an_items_draw_is_its_own(ids: list[str], seed: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(ids) - 1), max_size=8))
    weights = torch.arange(1.0, 4.0).expand(len(ids), 3)
    every, some = ByItem(ids, seed), ByItem([ids[row] for row in rows], seed)
    for _ in range(2):
        assert torch.equal(every.uniform()[rows], some.uniform())
        assert torch.equal(every.integers(5, 9)[rows], some.integers(5, 9))
        assert torch.equal(every.choice(weights)[rows], some.choice(weights[rows]))


def test_an_id_that_no_encoding_takes_is_drawn_for_too() -> None:
    """JSON can spell half a surrogate pair."""
    drawn = ByItem(["\ud800", "\udfff", "?"], 0).uniform()
    assert len(set(drawn.tolist())) == 3


@pytest.mark.parametrize("draws", [Together(0, torch.Generator()), ByItem([], 0)])
def test_no_items_no_draws(draws: Draws) -> None:
    assert draws.uniform().shape == draws.integers(0, 3).shape == draws.choice(torch.zeros(0, 3)).shape == (0,)
    assert draws.choice(torch.zeros(0, 3)).dtype == draws.integers(0, 3).dtype == torch.long

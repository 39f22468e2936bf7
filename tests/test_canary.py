"""Canary gold: a broken teacher is found soon, an unchanged one is left alone, and the bet is the one written down."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.canary import BETS, alarm, evidence_of_change, hidden
from distrust.errors import DataError

LEVEL = 0.7


def naive(outcomes: list[int]) -> float:
    """The mixture written out: over starts by weight, over bets alike, and what is not bet yet."""
    total = 1 / (len(outcomes) + 1)
    for start in range(1, len(outcomes) + 1):
        for bet in BETS:
            gain = 1.0
            for outcome in outcomes[start - 1 :]:
                gain *= 1 + bet / (1 - LEVEL) * (LEVEL - outcome)
            total += gain / len(BETS) / (start * (start + 1))
    return total


@given(st.lists(st.integers(0, 1), min_size=1, max_size=12))
def test_it_is_the_mixture_of_bets_written_out(outcomes: list[int]) -> None:
    found = evidence_of_change(torch.tensor(outcomes), LEVEL)
    assert found.tolist() == pytest.approx([naive(outcomes[: turn + 1]) for turn in range(len(outcomes))])


def runs(share: float, length: int, seed: int, count: int = 400) -> torch.Tensor:
    return torch.rand(count, length, generator=torch.Generator().manual_seed(seed)) < share


def test_a_teacher_at_its_level_is_hardly_ever_paused_however_long_it_is_watched() -> None:
    assert float((evidence_of_change(runs(LEVEL, 400, 0), LEVEL).amax(-1) >= 20).double().mean()) <= 0.05


@pytest.mark.parametrize(("share", "good", "within"), [(0.0, 0, 6), (0.0, 100, 15), (0.35, 0, 40), (0.35, 50, 75)])
def test_a_fall_is_found(share: float, good: int, within: int) -> None:
    """Nine times in ten within so many canaries of the fall, also after a good record."""
    path = torch.cat([runs(0.85, good, 1), runs(share, within, 2)], -1)
    late = evidence_of_change(path, LEVEL)[:, good:]
    assert float((late.amax(-1) >= 20).double().mean()) >= 0.9


def test_the_alarm_says_after_how_many() -> None:
    assert alarm(torch.ones(200), LEVEL) is None and alarm(torch.zeros(0), LEVEL) is None
    after = alarm(torch.zeros(20), LEVEL)
    assert after is not None and 2 <= after <= 6
    cautious = alarm(torch.zeros(20), LEVEL, alpha=0.001)
    assert cautious is not None and cautious > after
    with pytest.raises(DataError, match="above 0 and below 1"):
        alarm(torch.zeros(2), 1.0)
    with pytest.raises(DataError, match="alpha is 0"):
        alarm(torch.zeros(2), LEVEL, alpha=0)


@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 3))
def test_canaries_are_hidden_anywhere_and_both_lists_keep_their_order(plain: int, gold: int, seed: int) -> None:
    bought, canaries = [f"p{row}" for row in range(plain)], [f"g{row}" for row in range(gold)]
    mixed = hidden(bought, canaries, seed)
    assert [one for one in mixed if one in bought] == bought and [one for one in mixed if one in canaries] == canaries
    assert len(mixed) == plain + gold and mixed == hidden(bought, canaries, seed)


def test_where_canaries_are_is_a_matter_of_the_seed_and_an_item_is_one_of_both() -> None:
    bought, canaries = [f"p{row}" for row in range(100)], [f"g{row}" for row in range(10)]
    places = [[one[0] for one in hidden(bought, canaries, seed)] for seed in range(3)]
    assert places[0] != places[1] != places[2]
    with pytest.raises(DataError, match="'b' is bought and a canary"):
        hidden(["a", "b"], ["b"])

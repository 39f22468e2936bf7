"""The chance that a claim is right, from how many samples agree with it, against what is known of made claims."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.trust import two_kinds

SAMPLES = 5


def made(right: float, agree: float, echo: float, count: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Shares (count,) of five samples, and which claims are right."""
    draw = torch.Generator().manual_seed(0)
    is_right = torch.rand(count, generator=draw) < right
    chance = torch.where(is_right, agree, echo)
    hits = (torch.rand(count, SAMPLES, generator=draw) < chance.unsqueeze(-1)).sum(-1)
    return hits / SAMPLES, is_right


@pytest.mark.parametrize(("right", "agree", "echo"), [(0.7, 0.6, 0.05), (0.6, 0.8, 0.3), (0.2, 0.7, 0.1)])
def test_it_finds_how_claims_were_made_without_being_told_which_are_right(right: float, agree: float, echo: float) -> None:
    share, is_right = made(right, agree, echo)
    found = two_kinds(share, SAMPLES)
    assert found.right == pytest.approx(right, abs=0.04)
    assert found.agree == pytest.approx(agree, abs=0.04)
    assert found.echo == pytest.approx(echo, abs=0.04)
    chance = found(share, SAMPLES)
    for low in (0.0, 0.25, 0.5, 0.75):
        here = (chance >= low) & (chance < low + 0.25)
        if int(here.sum()) > 100:
            assert float(is_right[here].double().mean()) == pytest.approx(float(chance[here].mean()), abs=0.08)


def test_the_chance_is_bayes_rule() -> None:
    share = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    found = two_kinds(made(0.7, 0.6, 0.1)[0], SAMPLES)
    for one, chance in zip(share.tolist(), found(share, SAMPLES).tolist(), strict=True):
        hits = round(one * SAMPLES)
        yes = found.right * found.agree**hits * (1 - found.agree) ** (SAMPLES - hits)
        no = (1 - found.right) * found.echo**hits * (1 - found.echo) ** (SAMPLES - hits)
        assert chance == pytest.approx(yes / (yes + no))


@given(st.lists(st.integers(0, SAMPLES), min_size=1, max_size=30))
def test_more_agreement_is_never_believed_less_and_the_order_of_claims_changes_nothing(hits: list[int]) -> None:
    share = torch.tensor(hits) / SAMPLES
    found = two_kinds(share, SAMPLES)
    chances = found(torch.arange(SAMPLES + 1) / SAMPLES, SAMPLES)
    assert bool((chances.diff() >= -1e-12).all()) and bool(((chances >= 0) & (chances <= 1)).all())
    assert two_kinds(share.flip(0), SAMPLES) == pytest.approx(found)


def test_shares_that_are_all_alike_are_chances_themselves_and_no_say_stays_so() -> None:
    found = two_kinds(torch.tensor([0.4, 0.4, math.nan]), SAMPLES)
    assert found(torch.tensor([0.4, math.nan]), SAMPLES)[0] == pytest.approx(0.4)
    assert found(torch.tensor([math.nan]), SAMPLES).isnan().all()


@pytest.mark.parametrize(
    ("share", "samples", "sentence"),
    [
        ([0.5], 2, r"2 samples tell no two kinds of claims apart; legal is 3 or more"),
        ([1.5], 5, r"numbers from 0 to 1"),
        ([math.nan], 5, r"one or more"),
    ],
)
def test_what_tells_nothing_is_refused(share: list[float], samples: int, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        two_kinds(torch.tensor(share), samples)

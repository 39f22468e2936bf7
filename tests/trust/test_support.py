"""What an assistant says of a claim: support by samples, probability of a class; silence is no contradiction."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.trust import claim_probability, support

ANSWERS = st.lists(st.lists(st.integers(-1, 2), min_size=4, max_size=4), min_size=1, max_size=5)


@given(st.lists(st.integers(-1, 2), min_size=4, max_size=4), ANSWERS)
def test_support_is_what_a_loop_finds(claims: list[int], samples: list[list[int]]) -> None:
    found = support(torch.tensor(claims), torch.tensor(samples)).tolist()
    for item, claim in enumerate(claims):
        column = [row[item] for row in samples]
        if claim >= 0 and all(one < 0 for one in column):
            assert math.isnan(found[item])
        else:
            assert found[item] == pytest.approx(sum(one == claim for one in column if claim >= 0) / len(column))


def test_an_abstention_is_no_agreement_even_with_another() -> None:
    """Trap 3."""
    assert support(torch.tensor([-1]), torch.tensor([[-1], [-1]])).tolist() == [0]
    assert support(torch.tensor([1]), torch.tensor([[1], [-1]])).tolist() == [0.5]


def test_probability_of_a_claim_and_who_has_no_say() -> None:
    chances = torch.tensor([[0.7, 0.3, 0.0], [0.7, 0.3, 0.0], [0.0, 0.0, 0.0], [0.2, 0.8, 0.0], [0.0, 0.0, 0.0]])
    claims = torch.tensor([0, 2, 1, -1, -1])
    assert claim_probability(chances, claims)[[0, 1, 3, 4]].tolist() == pytest.approx([0.7, 0, 0, 0])
    found = claim_probability(chances, claims, torch.tensor([True, True, False]))
    assert found.isnan().tolist() == [False, True, True, False, False]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="do not fit claims"):
        support(torch.tensor([0, 1]), torch.tensor([[0]]))
    with pytest.raises(DataError, match="legal is"):
        claim_probability(torch.ones(2, 3), torch.tensor([0]))

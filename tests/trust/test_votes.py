"""Agreement between voters and of one source with itself; abstentions are nobody's agreement."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust import trust


def naive_agreement(claims: list[list[int]]) -> list[list[float]]:
    table = []
    for voter, row in enumerate(claims):
        values = []
        for item, claim in enumerate(row):
            others = [other[item] for v, other in enumerate(claims) if v != voter and other[item] >= 0]
            values.append(sum(one == claim for one in others) / len(others) if claim >= 0 and others else 0.0)
        table.append(values)
    return table


CLAIMS = st.integers(1, 5).flatmap(
    lambda items: st.lists(st.lists(st.integers(-1, 2), min_size=items, max_size=items), min_size=1, max_size=5)
)


def test_golden_values() -> None:
    claims = torch.tensor([[0, 0, -1, 1], [0, 1, -1, -1], [1, -1, -1, -1]])
    assert trust.agreement(claims, 2).tolist() == [[0.5, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 0]]
    assert trust.self_agreement(claims, 2).tolist() == pytest.approx([2 / 3, 1 / 3, 0, 1 / 3])


@given(CLAIMS)
def test_agreement_is_what_a_loop_finds(claims: list[list[int]]) -> None:
    values = trust.agreement(torch.tensor(claims), 3)
    assert torch.allclose(values, torch.tensor(naive_agreement(claims)))
    shares = [max(sum(row[i] == c for row in claims) for c in range(3)) / len(claims) for i in range(len(claims[0]))]
    assert trust.self_agreement(torch.tensor(claims), 3).tolist() == pytest.approx(shares)


@given(CLAIMS, st.permutations([0, 1, 2]), st.randoms())
def test_renaming_classes_and_permuting_voters_changes_nothing_but_order(claims, names, random) -> None:  # type: ignore[no-untyped-def]
    table = torch.tensor(claims)
    order = list(range(len(claims)))
    random.shuffle(order)
    renamed = torch.where(table >= 0, torch.tensor(names)[table.clamp(min=0)], -1)
    assert torch.equal(trust.agreement(renamed[order], 3), trust.agreement(table, 3)[order])
    assert torch.equal(trust.self_agreement(renamed[order], 3), trust.self_agreement(table, 3))


def test_items_and_tokens_agree_and_an_abstaining_voter_is_as_if_absent() -> None:
    claims = torch.randint(-1, 4, (6, 2, 3))  # (V, B, L)
    values = trust.agreement(claims, 4)
    for item in range(2):
        assert torch.equal(trust.agreement(claims[:, item], 4), values[:, item])
    mute = torch.full((1, 2, 3), -1)
    assert torch.equal(trust.agreement(torch.cat([claims, mute]), 4)[:6], values)


def test_one_voter_one_class_no_items_and_no_voters() -> None:
    assert trust.agreement(torch.tensor([[0, 1]]), 2).tolist() == [[0, 0]]
    assert trust.self_agreement(torch.tensor([[0, 1]]), 2).tolist() == [1, 1]
    assert trust.agreement(torch.zeros(3, 2, dtype=torch.long), 1).tolist() == [[1, 1]] * 3
    assert trust.agreement(torch.zeros(3, 0, dtype=torch.long), 2).shape == (3, 0)
    assert trust.self_agreement(torch.zeros(0, 2, dtype=torch.long), 2).tolist() == [0, 0]

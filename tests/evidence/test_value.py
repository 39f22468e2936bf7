"""Evidence of one source: the one shape law, for items and for tokens."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.evidence import Cost, Dense, Evidence, Hidden, TopK, stack, votes
from distrust.labels import Candidates, LabelSpace
from tests.evidence.sources import ABC, INF, source


@given(st.integers(1, 4), st.integers(0, 4), st.integers(1, 4), st.randoms())
def test_votes_are_what_a_loop_counts(voters: int, items: int, classes: int, random: object) -> None:
    claims = torch.tensor(
        [[random.randint(-1, classes - 1) for _ in range(items)] for _ in range(voters)],  # type: ignore[attr-defined]
        dtype=torch.long,
    ).reshape(voters, items)
    counted = [[0.0] * classes for _ in range(items)]
    for row in claims.tolist():
        for item, claim in enumerate(row):
            if claim >= 0:
                counted[item][claim] += 1
    assert votes(claims, classes).tolist() == counted


def test_votes_on_one_item_on_items_and_on_tokens_agree() -> None:
    claims = torch.randint(-1, 3, (5, 2, 4))  # (V, B, L)
    tokens = votes(claims, 3)
    assert tokens.shape == (2, 4, 3)
    for item in range(2):
        assert torch.equal(votes(claims[:, item], 3), tokens[item])
        assert torch.equal(votes(claims[:, item, 1], 3), tokens[item, 1])


def test_votes_take_no_memory_for_a_large_vocabulary_times_voters() -> None:
    claims = torch.zeros(64, 20, dtype=torch.long)
    assert votes(claims, 50_000).shape == (20, 50_000)  # a one-hot of every voter would take half a gigabyte
    with torch.random.fork_rng():
        torch.set_default_dtype(torch.float64)
        try:
            assert votes(claims, 2).dtype == torch.float64
        finally:
            torch.set_default_dtype(torch.float32)


def test_a_distribution_is_the_softmax_or_the_shares_of_the_votes() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    soft = source([[1]], logits=Dense(logits))
    exact = [math.exp(one / 2) / sum(math.exp(other / 2) for other in (1.0, 2.0, 0.5)) for one in (1.0, 2.0, 0.5)]
    assert soft.distribution(2.0).tolist()[0] == pytest.approx(exact, rel=1e-6)
    assert source([[0, -1], [0, -1], [2, -1]]).distribution().tolist() == [
        [pytest.approx(2 / 3), 0, pytest.approx(1 / 3)],
        [0, 0, 0],
    ]


def test_a_row_of_minus_infinity_says_nothing_instead_of_nan() -> None:
    logits = torch.tensor([[-INF, -INF, -INF], [0.0, -INF, 0.0]])
    mute = source([[-1, 0]], logits=Dense(logits))
    assert mute.distribution().tolist() == [[0, 0, 0], [0.5, 0, 0.5]]
    stacked = stack([mute], ABC)
    assert stacked.answered.tolist() == [[False, True]]
    assert stacked.probabilities.tolist() == [[[0, 0, 0], [0.5, 0, 0.5]]]


def test_where_an_item_has_claims_but_no_logits_its_votes_speak() -> None:
    partly = source([[2, 0], [2, 0], [1, 0]], logits=Dense(torch.tensor([[-INF, -INF, -INF], [0.0, -INF, 0.0]])))
    expected = [[0, pytest.approx(1 / 3), pytest.approx(2 / 3)], [0.5, 0, 0.5]]
    assert partly.distribution().tolist() == expected
    stacked = stack([partly], ABC)
    assert stacked.probabilities[0].tolist() == expected and stacked.answered.tolist() == [[True, True]]


def test_a_selection_takes_every_part_along_and_on_joins_by_id() -> None:
    evidence = source(
        [[0, 1, 2], [1, -1, 2]],
        logits=Dense(torch.arange(9.0).reshape(3, 3)),
        features={"pooled": torch.arange(6.0).reshape(3, 2)},
        texts=[["x"], ["y"], ["z"]],
        cost=Cost(*(torch.arange(3.0).double() for _ in range(4))),
    )
    part = evidence.on(["i2", "elsewhere", "i0"])
    assert part.ids == ("i2", "i0") and part.claims.tolist() == [[2, 0], [2, 1]]
    assert part.logits is not None and part.logits.dense().tolist() == [[6, 7, 8], [0, 1, 2]]
    assert part.features["pooled"].tolist() == [[4, 5], [0, 1]] and part.texts == [["z"], ["x"]]
    assert part.cost is not None and part.cost.money.tolist() == [2, 0]
    assert len(evidence.select([])) == 0


def test_a_selection_of_open_answers_keeps_the_claim_none_of_these() -> None:
    space = Candidates((("a", "b", "c"), ("x",)))
    evidence = Evidence("t", ("p", "q"), space, torch.tensor([[0, 3]]))
    assert evidence.select([1]).claims.tolist() == [[3]]
    assert evidence.select([1]).space.none_of_these == 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": ("i0", "i0")}, "an item id twice"),
        ({"claims": torch.tensor([0, 1])}, r"claims are \(2,\) torch.int64; legal is \(S, 2"),
        ({"claims": torch.tensor([[0, 1]], dtype=torch.int32)}, "legal is .* int64"),
        ({"claims": torch.tensor([[0, 3]])}, "outside its 3 classes"),
        ({"claims": torch.tensor([[0, -2]])}, "legal are -1 to C - 1"),
        ({"logits": Dense(torch.zeros(2, 2))}, "logits for 2 classes but a space of 3"),
        ({"logits": Dense(torch.zeros(3, 3))}, r"logits are \(3, 3\); legal is \(2,\) and classes"),
        ({"logits": Dense(torch.tensor([[0.0, 0, 0], [0, math.nan, 0]]))}, "non-finite logit for item 'i1'"),
        ({"logits": Dense(torch.tensor([[0.0, 0, 0], [0, INF, 0]]))}, "non-finite logit for item 'i1'"),
        ({"logits": Hidden(torch.zeros(2, 4), torch.zeros(5, 4))}, "logits for 5 classes"),
        ({"logits": TopK(torch.full((2, 1), 3), torch.zeros(2, 1), torch.zeros(2), 3)}, "legal are 0 to C - 1"),
        ({"logits": TopK(torch.zeros(2, 1).long(), torch.zeros(2, 1), torch.zeros(2), 9)}, "logits for 9 classes"),
        (
            {"logits": TopK(torch.zeros(2, 1).long(), torch.zeros(2, 1), torch.full((2,), math.nan), 3)},
            "no probability mass",
        ),
        ({"logits": TopK(torch.zeros(2, 2).long(), torch.zeros(2, 1), torch.zeros(2), 3)}, "ids, logp and tail are"),
        ({"features": {"h": torch.zeros(3, 1)}}, "feature 'h' has 3 rows"),
        ({"texts": [["x"]]}, "texts for 1 items"),
        ({"cost": Cost.free(3)}, "costs for 3 items"),
        ({"space": Candidates((("a",),))}, "candidates for 1 items"),
        ({"space": Candidates((("a", "b"), ())), "claims": torch.tensor([[0, 1]])}, "its item does not list"),
    ],
)
def test_what_breaks_the_shape_law_is_refused(change: dict[str, object], said: str) -> None:
    whole = {"source": "t", "ids": ("i0", "i1"), "space": ABC, "claims": torch.tensor([[0, 1]])} | change
    with pytest.raises(DataError, match=said):
        Evidence(**whole)  # type: ignore[arg-type]


def test_no_items_no_samples_and_one_class_are_legal() -> None:
    empty = Evidence("t", (), ABC, torch.zeros(2, 0, dtype=torch.long))
    assert empty.distribution().shape == (0, 3) and stack([empty], ABC).probabilities.shape == (1, 0, 3)
    silent = Evidence("t", ("p", "q"), ABC, torch.zeros(0, 2, dtype=torch.long))
    assert silent.distribution().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert stack([silent], ABC).answered.tolist() == [[False, False]]
    single = Evidence("t", ("p",), LabelSpace(("a",)), torch.zeros(1, 1, dtype=torch.long), Dense(torch.zeros(1, 1)))
    assert stack([single], LabelSpace(("a",))).probabilities.tolist() == [[[1]]]

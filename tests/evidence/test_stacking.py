"""Several sources stacked: by item id, by label name, and with what they do not know left open."""

from __future__ import annotations

import math

import pytest
import torch

from distrust.errors import DataError
from distrust.evidence import Dense, Evidence, stack
from distrust.labels import Candidates, LabelSpace
from tests.evidence.sources import ABC, INF, source


def test_sources_with_different_labels_stack_by_name() -> None:
    narrow = source([[0, 1]], LabelSpace(("c", "a")), "narrow", logits=Dense(torch.tensor([[2.0, 0.0], [0.0, 1.0]])))
    wide = source([[3, 2]], LabelSpace(("a", "b", "c", "z")), "wide", logits=Dense(torch.zeros(2, 4)))
    stacked = stack([narrow, wide], ABC)
    assert stacked.sources == ("narrow", "wide") and len(stacked) == 2
    assert stacked.claims.tolist() == [[[2, 0]], [[-1, 2]]]  # "z" is outside: an abstention
    assert stacked.known.tolist() == [[True, False, True], [True, True, True]]
    assert stacked.logits is not None and stacked.logits[0].tolist() == [[0, -INF, 2], [1, -INF, 0]]
    assert stacked.probabilities.sum(-1).tolist() == [[pytest.approx(1)] * 2] * 2
    assert float(stacked.probabilities[0, 0, 2]) == pytest.approx(math.exp(2) / (math.exp(2) + 1))


def test_an_item_that_a_source_was_not_asked_abstains_and_its_logits_are_even_over_what_it_knows() -> None:
    first = source([[0, 1, 2]], name="first", logits=Dense(torch.zeros(3, 3)))
    second = Evidence("second", ("i2",), LabelSpace(("b", "c")), torch.tensor([[0]]), Dense(torch.tensor([[1.0, 0.0]])))
    stacked = stack([first, second], ABC)
    assert stacked.claims[1].tolist() == [[-1, -1, 1]] and stacked.answered[1].tolist() == [False, False, True]
    assert stacked.logits is not None and stacked.logits[1].tolist() == [[-INF, 0, 0], [-INF, 0, 0], [-INF, 1, 0]]
    assert stacked.probabilities[1, :2].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_row_with_mass_on_unknown_classes_alone_says_nothing_about_the_task() -> None:
    outside = source([[1]], LabelSpace(("a", "z")), logits=Dense(torch.tensor([[-INF, 0.0]])))
    stacked = stack([outside], ABC)
    assert stacked.answered.tolist() == [[False]] and stacked.probabilities.tolist() == [[[0, 0, 0]]]
    assert stacked.logits is not None and not bool(stacked.logits.isnan().any())


def test_a_different_number_of_samples_is_filled_with_abstentions() -> None:
    stacked = stack([source([[0, 1], [0, 1], [2, 1]]), source([[1, 1]], name="u")], ABC)
    assert stacked.claims.shape == (2, 3, 2) and stacked.claims[1].tolist() == [[1, 1], [-1, -1], [-1, -1]]
    assert stacked.logits is None
    assert stacked.probabilities[0, 0].tolist() == [pytest.approx(2 / 3), 0, pytest.approx(1 / 3)]


def test_one_source_stacked_in_its_own_space_is_itself_bit_for_bit() -> None:
    alone = source([[0, 1, 2]], logits=Dense(torch.randn(3, 3)))
    stacked = stack([alone], ABC)
    assert stacked.logits is not None and alone.logits is not None
    assert torch.equal(stacked.logits[0], alone.logits.dense()) and torch.equal(stacked.claims[0], alone.claims)
    assert torch.equal(stacked.probabilities[0], alone.distribution())


def test_a_claim_without_logits_still_has_its_vote() -> None:
    """Log-probabilities may be served for some items only; the others' claims must not fall silent beside them."""
    logits = torch.tensor([[-torch.inf] * 3, [0.0, -torch.inf, 0.0]])
    mixed = source([[1, 0]], logits=Dense(logits))
    assert mixed.distribution().tolist() == [[0, 1, 0], [0.5, 0, 0.5]]
    stacked = stack([mixed], ABC)
    assert stacked.probabilities[0].tolist() == [[0, 1, 0], [0.5, 0, 0.5]]
    assert stacked.answered.all()


def test_permuting_sources_items_and_classes_permutes_the_stack() -> None:
    one = source([[0, 1, 2], [1, 1, -1]], name="one")
    two = source([[2, -1, 0]], LabelSpace(("c", "b", "a")), "two")
    plain = stack([one, two], ABC)
    turned = stack([two, one], LabelSpace(("c", "a", "b")), ids=["i2", "i0", "i1"])
    assert torch.equal(turned.probabilities, plain.probabilities[[1, 0]][:, [2, 0, 1]][..., [2, 0, 1]])
    assert torch.equal(turned.answered, plain.answered[[1, 0]][:, [2, 0, 1]])
    assert torch.equal(turned.known, plain.known[[1, 0]][:, [2, 0, 1]])


def test_token_evidence_stacks_like_items() -> None:
    claims, logits = torch.randint(-1, 3, (2, 2, 4)), torch.randn(2, 4, 3)
    tokens = Evidence("t", ("p", "q"), ABC, claims, Dense(logits))
    stacked = stack([tokens, tokens], ABC, ids=["q", "elsewhere"])
    assert stacked.claims.shape == (2, 2, 2, 4) and stacked.probabilities.shape == (2, 2, 4, 3)
    assert stacked.answered[:, 1].any() == torch.tensor(False)
    for place in range(4):
        column = Evidence("t", ("p", "q"), ABC, claims[..., place], Dense(logits[:, place]))
        assert torch.equal(stack([column], ABC).probabilities[0, 1], stacked.probabilities[0, 0, place])


def test_what_cannot_be_stacked_is_refused_by_name() -> None:
    stranger = source([[0]], LabelSpace(("x", "y")), "stranger")
    with pytest.raises(DataError, match=r"stranger has no label in common with the task: it says x, y.*map its labels"):
        stack([source([[0]]), stranger], ABC)
    with pytest.raises(DataError, match="at least one source"):
        stack([], ABC)
    with pytest.raises(DataError, match="open candidates"):
        stack([Evidence("t", ("i0",), Candidates((("a",),)), torch.tensor([[0]]))], ABC)
    with pytest.raises(DataError, match="two labels that mean the same class"):
        stack([source([[0]], LabelSpace(("A", "a ")), logits=Dense(torch.zeros(1, 2)))], ABC)
    short, long = (Evidence(f"l{n}", ("p",), ABC, torch.zeros(1, 1, n, dtype=torch.long)) for n in (2, 3))
    with pytest.raises(DataError, match="l3 and l2 answer items of different lengths"):
        stack([short, long], ABC)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_of_other_precisions_stack_with_each_other(dtype: torch.dtype) -> None:
    plain = source([[0, 1]], name="plain", logits=Dense(torch.zeros(2, 3)))
    other = source([[0, 1]], name="other", logits=Dense(torch.tensor([[1.0, 0, -INF], [200.0, -200, 0]], dtype=dtype)))
    stacked = stack([plain, other], ABC)
    assert stacked.logits is not None and stacked.probabilities.sum(-1).tolist() == [[pytest.approx(1, abs=4e-3)] * 2] * 2


def test_stacking_leaves_the_evidence_as_it_was() -> None:
    logits = torch.randn(2, 3)
    evidence = source([[0, 1]], logits=Dense(logits.clone()))
    stack([evidence], LabelSpace(("b", "a")))
    assert evidence.logits is not None and torch.equal(evidence.logits.dense(), logits)
    assert evidence.claims.tolist() == [[0, 1]]

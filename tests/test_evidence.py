"""Evidence of one source, and several sources stacked: the one shape law, for items and for tokens."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.errors import DataError
from distrust.evidence import Cost, Dense, Evidence, Hidden, TopK, join, stack, votes
from distrust.labels import Candidates, LabelSpace

ABC = LabelSpace(("a", "b", "c"))
INF = math.inf


def source(claims: list[list[int]], space: LabelSpace = ABC, name: str = "t", **more: object) -> Evidence:
    rows = torch.tensor(claims)
    return Evidence(name, tuple(f"i{row}" for row in range(rows.shape[1])), space, rows, **more)  # type: ignore[arg-type]


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


def test_top_k_spreads_its_tail_and_sums_to_one() -> None:
    top = TopK(torch.tensor([[2, 0]]), torch.tensor([[0.5, 0.3]]).log(), torch.tensor([0.2]), classes=4)
    assert top.dense().exp().tolist() == [pytest.approx([0.3, 0.1, 0.5, 0.1])]
    whole = TopK(torch.tensor([[1, 0]]), torch.tensor([[0.5, 0.5]]).log(), torch.tensor([-1e-8]), classes=3)
    assert whole.dense().exp().tolist() == [[0.5, 0.5, 0]]  # rounding in 1 - sum is no NaN
    tokens = TopK(torch.zeros(2, 3, 1, dtype=torch.long), torch.zeros(2, 3, 1), torch.zeros(2, 3), classes=5)
    assert tokens.dense().shape == (2, 3, 5)


def test_hidden_states_and_their_head_give_the_logits() -> None:
    h, head = torch.randn(2, 5, 4), torch.randn(3, 4)
    hidden = Hidden(h, head)
    looped = [[[float(h[b, t] @ head[c]) for c in range(3)] for t in range(5)] for b in range(2)]
    assert torch.allclose(hidden.dense(), torch.tensor(looped), atol=1e-6)
    assert torch.equal(hidden.select(torch.tensor([1])).dense(), hidden.dense()[[1]])


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


def test_open_answers_are_joined_item_by_item() -> None:
    first = Evidence("llm", ("a",), Candidates((("x",),)), torch.tensor([[0], [1]]), texts=[["x", "?"]])
    second = Evidence("llm", ("b", "a"), Candidates((("y", "z", "w"), ("v",))), torch.tensor([[2, 0]]), texts=[["w"], ["v"]])
    both = join([first, second])
    assert both.ids == ("a", "b") and both.space == Candidates((("x",), ("y", "z", "w")), width=4)
    assert both.claims.tolist() == [[0, 2], [3, -1]], '"none of these" moves with the last column'
    assert both.texts == [["x", "?"], ["w"]]
    with pytest.raises(DataError, match="one label space"):
        join([first, Evidence("llm", ("c",), LabelSpace(("x",)), torch.tensor([[0]]))])
    with pytest.raises(DataError, match="one label space"):
        join([first, Evidence("other", ("c",), Candidates(((),)), torch.tensor([[-1]]))])

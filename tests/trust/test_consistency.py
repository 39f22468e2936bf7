"""Self-consistency: by hand, against a naive double-precision loop, and the card's traps 1 to 3."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.answers import Answers
from distrust.claimed import final
from distrust.data import Items
from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import Candidates, LabelSpace
from distrust.recipe import Answer
from distrust.trust import self_certainty, self_consistency, silence

SPACE = LabelSpace(("a", "b", "c"))
CLAIMS = st.lists(st.lists(st.integers(-1, 2), min_size=3, max_size=3), min_size=1, max_size=6)


def said(claims: list[list[int]]) -> Evidence:
    return Evidence("student", tuple(f"i{row}" for row in range(len(claims[0]))), SPACE, torch.tensor(claims))


def naive(column: list[int], possible: float) -> float:
    """1 - H / log min(n, |Y|) of one item, each abstention an answer of its own."""
    n = len(column)
    if all(one < 0 for one in column):
        return 0.0
    counts = Counter(one if one >= 0 else -1 - place for place, one in enumerate(column))
    nats = -sum(times / n * math.log(times / n) for times in counts.values())
    most = math.log(min(n, possible))
    return max(0.0, 1 - nats / most) if most else 1.0


@given(CLAIMS)
def test_both_variants_are_what_a_loop_finds(claims: list[list[int]]) -> None:
    columns = list(zip(*claims, strict=True))
    shares = [max(Counter(one for one in c if one >= 0).values(), default=0) / len(claims) for c in columns]
    assert self_consistency(said(claims)).tolist() == pytest.approx(shares)
    wanted = [naive(list(c), 3) for c in columns]
    assert self_consistency(said(claims), "entropy").tolist() == pytest.approx(wanted, abs=1e-6)
    open_ended = [naive(list(c), math.inf) for c in columns]
    assert self_certainty(torch.tensor(claims), 3, None).tolist() == pytest.approx(open_ended, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_identical_samples_are_1_and_distinct_ones_1_over_n(n: int) -> None:
    """Trap 1."""
    same, distinct = said([[1]] * n), said([[one] for one in range(n)])
    assert self_consistency(same).item() == 1 and self_consistency(distinct).item() == pytest.approx(1 / n)
    assert self_consistency(same, "entropy").item() == 1
    assert self_consistency(distinct, "entropy").item() == pytest.approx(1.0 if n == 1 else 0.0, abs=1e-6)


def test_one_sample_or_one_possible_answer_divides_by_no_log_1() -> None:
    """Trap 1."""
    assert self_certainty(torch.tensor([[0, -1]]), 1, 5).tolist() == [1, 0]
    assert self_certainty(torch.tensor([[0, 0], [0, -1]]), 1, 1).tolist() == [1, 1]
    assert self_certainty(torch.zeros(0, 2, dtype=torch.long), 3, 3).tolist() == [0, 0]
    assert silence(torch.zeros(0, 2, dtype=torch.long)).tolist() == [1, 1]


@given(st.lists(st.sampled_from(["yes", "No.", "no", "YES!", "maybe"]), min_size=1, max_size=6))
def test_ties_are_broken_the_same_way_and_the_output_is_one_of_the_majority(texts: list[str]) -> None:
    """Trap 2: the answer is the first said of the most frequent ones, and the text is one that gives it."""
    reader = Answers(Answer(kind="short"))
    items = Items(("i",), ("?",))
    chosen = [final(reader.evidence("student", items.ids, [texts]), items)[0] for _ in range(3)]
    assert chosen[0] is not None and chosen[0] == chosen[1] == chosen[2]
    counts = Counter(reader.read(text) for text in texts)
    first = next(answer for answer in map(reader.read, texts) if counts[answer] == max(counts.values()))
    assert chosen[0].answer == first and chosen[0].text in texts and reader.read(chosen[0].text) == first


def test_an_unparsable_answer_is_neither_agreement_nor_a_class() -> None:
    """Trap 3: two samples that could not be read do not agree, and the share of them is there to be reported."""
    reader = Answers(Answer(kind="number"))
    evidence = reader.evidence("student", ["i", "j"], [["4", "dunno", "who knows", "4.0"], ["dunno", "?", "!", "hm"]])
    assert self_consistency(evidence).tolist() == [0.5, 0] and silence(evidence.claims).tolist() == [0.5, 1]
    assert self_consistency(evidence, "entropy").tolist() == pytest.approx([naive([0, -1, -1, 0], math.inf), 0])
    none = Evidence("student", ("i",), Candidates((("x", "y"),)), torch.tensor([[2], [2], [0]]))
    assert self_consistency(none).item() == pytest.approx(1 / 3), "two other answers need not be one"


@given(CLAIMS, st.permutations([0, 1, 2]), st.randoms())
def test_renaming_classes_and_permuting_samples_changes_nothing(claims, names, random) -> None:  # type: ignore[no-untyped-def]
    table = torch.tensor(claims)
    renamed = torch.where(table >= 0, torch.tensor(names)[table.clamp(min=0)], -1).tolist()
    random.shuffle(renamed)
    for variant in ("share", "entropy"):
        assert torch.allclose(self_consistency(said(renamed), variant), self_consistency(said(claims), variant), atol=1e-6)


def test_tokens_are_items_too_and_another_variant_is_refused() -> None:
    claims = torch.randint(-1, 3, (4, 2, 5), generator=torch.Generator().manual_seed(0))
    evidence = Evidence("student", ("i", "j"), SPACE, claims)
    for variant in ("share", "entropy"):
        whole = self_consistency(evidence, variant)  # type: ignore[arg-type]
        assert whole.shape == (2, 5)
        assert torch.equal(whole[:, 3], self_consistency(said(claims[:, :, 3].tolist()), variant))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"'shares'; did you mean 'share'\?"):
        self_consistency(evidence, "shares")  # type: ignore[arg-type]

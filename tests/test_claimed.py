"""Final claims of classes and of texts, by the same functions."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from distrust.answers import Answers
from distrust.claimed import Claim, agreement, common, final, majority, told_by
from distrust.data import Items
from distrust.evaluate import final_claims
from distrust.evidence import Evidence, stack
from distrust.labels import LabelSpace
from distrust.recipe import Answer

ITEMS = Items(("a", "b", "c"), ("one", "two", "three"))
ANSWERS = Answers(Answer(kind="number"))
SPACE = LabelSpace(("ham", "spam"))
LLM = ANSWERS.evidence("llm", ["a", "b"], [["it is 4", "so 4.0", "5"], ["none", "who knows"]])
OTHER = ANSWERS.evidence("other", ["c", "a"], [["7"], ["about 4"]])


def classes(name: str, claims: list[list[int]], space: LabelSpace = SPACE) -> Evidence:
    return Evidence(name, ITEMS.ids, space, torch.tensor(claims))


def test_a_final_claim_is_the_most_frequent_answer_in_its_first_words() -> None:
    assert final(LLM, ITEMS) == [Claim("4", "it is 4"), None, None]
    assert final(OTHER, ITEMS) == [Claim("4", "about 4"), None, Claim("7", "7")]
    tied = ANSWERS.evidence("tied", ["a"], [["9", "4", "4", "9"]])
    assert final(tied, ITEMS.select([0])) == [Claim("9", "9")], "of equally frequent ones the first said"
    assert final(ANSWERS.evidence("nobody", [], []), ITEMS) == [None] * 3


def test_a_class_is_its_name() -> None:
    said = classes("one", [[0, 1, -1], [1, 1, -1], [1, 0, -1]])
    assert final(said, ITEMS) == [Claim("spam", "spam"), Claim("spam", "spam"), None]


def test_told_by_shares_the_target_between_those_who_speak() -> None:
    told = told_by([LLM, OTHER], ITEMS)
    assert told.texts is not None and told.texts.answers == (("about 4", "it is 4"), (), ("7",)), "by text, not by source"
    assert told.targets.tolist() == [[0.5, 0.5, 0], [0, 0, 0], [1, 0, 0]]
    pair = [classes("one", [[0, 1, -1]]), classes("two", [[1, 1, -1]])]
    assert told_by(pair, ITEMS, SPACE).targets.tolist() == [[0.5, 0.5], [0, 1], [0, 0]]
    turned = classes("turned", [[0, 1, -1]], LabelSpace(("spam", "ham")))
    assert told_by([turned], ITEMS, SPACE).targets.tolist() == [[0, 1], [1, 0], [0, 0]], "by name"


def test_the_majority_writes_as_one_of_its_speakers_and_ties_go_by_no_order() -> None:
    third = ANSWERS.evidence("third", ["a", "c"], [["5"], ["8"]])
    told = [majority(said, ITEMS).texts for said in permutations([third, LLM, OTHER])]
    assert told[0] is not None and told[0].answers[0][0] in ("it is 4", "about 4") and told[0].answers[1] == ()
    assert all(one is not None and one.answers == told[0].answers for one in told)
    ties = [f"q{row}" for row in range(20)]
    alone, other = (ANSWERS.evidence(name, ties, [[name]] * 20) for name in ("4", "5"))
    found = majority([alone, other], Items(tuple(ties), tuple(ties))).texts
    assert found is not None and {one[0] for one in found.answers} == {"4", "5"}, "nobody wins them all"


def test_agreement_is_one_function_for_both_kinds() -> None:
    assert agreement(LLM, OTHER, ITEMS).tolist() == [1, 0, 0]
    assert agreement(LLM, OTHER, ITEMS, "token_f1").tolist() == [pytest.approx(2 / 5), 0, 0]
    assert agreement(LLM, OTHER, ITEMS, "rouge_l").tolist() == [pytest.approx(2 / 5), 0, 0]
    one, two = classes("one", [[0, 1, -1]]), classes("two", [[0, 0, -1]])
    assert agreement(one, two, ITEMS).tolist() == [1, 0, 0], "two silences do not agree"


def test_relabelling_takes_the_other_sources_claims() -> None:
    pool = told_by([LLM], ITEMS)
    doubted = ITEMS.select([0])
    again = pool.relabelled(told_by([OTHER], doubted))
    assert again.texts is not None and again.texts.answers == (("about 4",), (), ())


def test_sources_share_a_list_an_item_with_the_reference_first() -> None:
    moved = common([LLM, OTHER], ITEMS.ids, ["4", None, "9"])
    assert moved[0].space == moved[1].space and len(moved[0].space) == 2
    assert moved[0].claims[:, 0].tolist() == [0, 0, 1], "4 is right, 5 is the first other answer"
    assert moved[1].ids == ("a", "c") and moved[1].claims.tolist() == [[0, 1]]
    together = final_claims(stack(moved, moved[0].space, ITEMS.ids))
    assert together.tolist() == [[0, -1, -1], [0, -1, 1]]

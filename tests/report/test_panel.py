"""Teachers on one set of items: gold that may judge, claims by id, and votes that tie."""

import pytest
import torch

from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.report.panel import judging_gold, panel

SPACE = LabelSpace(("a", "b", "c"))
IDS = ("1", "2", "3", "4")
ONE = Evidence("one", ("4", "1", "2"), SPACE, torch.tensor([[2, 0, 1]]))
TWO = Evidence("two", IDS, LabelSpace(("b", "a")), torch.tensor([[1, 1, 0, -1]]))  # a a b -


def test_gold_that_a_prompt_quotes_never_judges(messages_facts):
    gold = messages_facts.gold
    part = judging_gold(gold)
    assert len(part) == 54 and not set(part.ids) & set(gold.part("prompt").ids)
    assert (
        dict(zip(part.ids, part.labels.tolist(), strict=True)).items()
        <= dict(zip(gold.ids, gold.labels.tolist(), strict=True)).items()
    )
    reserved = Gold(gold.ids, gold.labels, gold.space, reserve={"prompt": 6, "judge": 20})
    assert judging_gold(reserved).ids == reserved.part("judge").ids
    assert len(judging_gold(None)) == 0


def test_claims_stand_by_id_and_in_the_tasks_classes():
    found = panel([ONE, TWO], SPACE, IDS)
    assert found.claims.tolist() == [[0, 1, -1, 2], [0, 0, 1, -1]]
    assert [(one.items, one.answered, one.judged) for one in found.judgements] == [(4, 3, 0), (4, 3, 0)]
    assert found.heard.all() and not found.voted.any() and found.vote_accuracy is None


def test_a_tie_is_worth_its_share():
    labels = torch.tensor([0, 0, 2, -1])
    found = panel([ONE, TWO], SPACE, IDS, labels)
    assert found.vote_right.tolist() == [1, 0.5, 0, 0] and found.voted.tolist() == [True, True, True, False]
    assert found.vote_accuracy.value == pytest.approx(1.5 / 3)
    one, two = found.judgements
    assert (one.judged, one.accuracy.value) == (2, 0.5) and (two.judged, two.accuracy.value) == (3, pytest.approx(2 / 3))


def test_nobody_and_nothing_is_no_panel():
    assert panel([], SPACE, IDS) is None and panel([ONE], SPACE, ()) is None

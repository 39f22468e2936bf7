"""One item's trace: what was claimed, paid, believed, told and learned, as lines that a terminal survives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.data import Items
from distrust.errors import DataError
from distrust.evidence import Cost, Dense, Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.recipe import NgramStudent
from distrust.report.facts import Facts, Spending
from distrust.report.trace import trace
from distrust.students.ngram import build

SPACE = LabelSpace(("spam", "ham", "news"))
POOL = Items(("aa1", "aa2", "b", "b2"), ("buy now", "dear friend", "it rains", "\x1b[31mevil"))
COST = Cost(*(torch.tensor(values, dtype=torch.float64) for values in ([2, 1], [9, 9], [1, 1], [0.25, float("nan")])))
LOGITS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 9.0], [0.0, 0.0, 0.0]])


def evidence() -> list[Evidence]:
    return [
        Evidence(
            "llm", ("aa1", "aa2"), SPACE, torch.tensor([[0, -1], [0, 1]]), texts=[["Spam!", "spam"], ["?", "ham"]], cost=COST
        ),
        Evidence("local", POOL.ids, SPACE, LOGITS.argmax(-1)[None], Dense(LOGITS), cost=Cost.free(4)),
        Evidence("half", POOL.ids, LabelSpace(("news", "spam")), torch.tensor([[1, 0, 0, -1]])),
    ]


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    build(NgramStudent(buckets=64, dimension=2), SPACE, 0, POOL).save(tmp_path / "student")
    return Facts(
        title="t",
        method="distill",
        options={},
        recipe={},
        space=SPACE,
        pool=POOL,
        evidence=evidence(),
        kinds={"llm": "endpoint", "local": "classifier", "half": "recorded"},
        gold=Gold(("aa2",), torch.tensor([1]), SPACE),
        targets=torch.tensor([[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.1, 0.2, 0.7]]),
        target_weight=torch.tensor([1.0, 5.0, 1.0, 0.5]),
        test=None,
        test_labels=None,
        predictions={},
        test_evidence=[],
        history=[],
        spending=[Spending("llm", 3, 18, 2, None)],
    )


def lines(facts: Facts, item: str, folder: Path) -> Sequence[str]:
    return list(trace(facts, item, folder))


def test_an_item_that_everybody_spoke_of(facts: Facts, tmp_path: Path) -> None:
    first, *rest, last = lines(facts, "aa1", tmp_path)
    assert first == "aa1: buy now"
    assert rest == [
        "llm (endpoint): spam, spam; agreement of the others 1.00; 2 calls, price 0.250000",
        "    it wrote: Spam!",
        "    it wrote: spam",
        "local (classifier): spam; confidence 0.58, agreement of the others 1.00; no call",
        "half (recorded): spam; agreement of the others 1.00; free",
        "told to the student: spam 0.75, ham 0.25; weight 1",
    ]
    assert last.startswith("the student now says: ") and sum(float(word.split()[-1]) for word in last.split(", ")) > 0.98


def test_gold_abstentions_and_an_unknown_price(facts: Facts, tmp_path: Path) -> None:
    said = lines(facts, "aa2", tmp_path)
    assert "gold: ham" in said and "told to the student: ham 1.00; weight 5" in said
    assert any(
        line.startswith("llm (endpoint): abstains, ham;") and line.endswith("1 calls, price unknown") for line in said
    )


def test_an_item_that_was_not_asked_or_not_told(facts: Facts, tmp_path: Path) -> None:
    said = lines(facts, "b", tmp_path)
    assert "llm (endpoint): was not asked" in said and "told to the student: nothing; weight 1" in said


def test_the_beginning_of_an_id_is_enough_where_it_is_one_items(facts: Facts, tmp_path: Path) -> None:
    assert lines(facts, "b2", tmp_path)[0].startswith("b2: ")
    assert lines(facts, "b", tmp_path)[0].startswith("b: "), "a whole id is no beginning"
    with pytest.raises(DataError, match="2 items begin with 'aa'; give more of the id, such as aa1"):
        lines(facts, "aa", tmp_path)
    with pytest.raises(DataError, match="no item 'aa3' in the pool; did you mean 'aa"):
        lines(facts, "aa3", tmp_path)


def test_without_teachers_targets_or_gold(facts: Facts, tmp_path: Path) -> None:
    bare: dict[str, Any] = {"evidence": [], "targets": None, "target_weight": None, "gold": None}
    assert len(lines(replace(facts, **bare), "aa2", tmp_path)) == 2


def test_every_stranger_is_inert(facts: Facts, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\n\u202e"
    space = LabelSpace(("spam" + evil, "ham", "news"))
    pool = Items((f"x{evil}",), (f"text{evil}",))
    one = Evidence(f"t{evil}", pool.ids, space, torch.tensor([[0]]), texts=[[evil]])
    hostile = replace(
        facts,
        space=space,
        pool=pool,
        evidence=[one],
        kinds={one.source: "recorded"},
        gold=Gold(pool.ids, torch.tensor([0]), space),
        targets=torch.tensor([[1.0, 0.0, 0.0]]),
        target_weight=torch.ones(1),
    )
    said = lines(hostile, "x", tmp_path)
    assert not set("\x1b\x07\u202e\n") & set("".join(said)) and len(said) == 6

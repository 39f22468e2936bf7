"""Deferring: only doubted items are asked about, and an abstaining teacher changes nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distrust.data import Items
from distrust.defer import defer
from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import LabelSpace

SPACE = LabelSpace(("a", "b", "c"))
ITEMS = Items(("w", "x", "y", "z"), ("1", "2", "3", "4"))
CHANCES = torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.2, 0.5, 0.3], [0.0, 0.2, 0.8]], dtype=torch.float64)


class Oracle:
    """Says what it was told to, in its own label space, and remembers the question."""

    def __init__(self, said: dict[str, list[str | None]], space: LabelSpace = SPACE) -> None:
        self.said, self.space, self.asked = said, space, []

    def ask(self, items: Items) -> Evidence:
        self.asked.append(items.ids)
        claims = torch.tensor([[self.space.find(one) for one in self.said[item]] for item in items.ids]).T
        return Evidence("oracle", items.ids, self.space, claims)


def test_only_doubted_items_are_asked_about() -> None:
    oracle = Oracle({"x": ["c"], "y": [None]})
    found = defer(ITEMS, SPACE, CHANCES, "oracle", oracle.ask, 0.8)
    assert oracle.asked == [("x", "y")]  # 0.8 itself is sure enough
    assert found.claims.tolist() == [0, 2, 1, 2]
    assert found.asked.tolist() == [False, True, True, False]
    assert found.answered.tolist() == [False, True, False, False]
    assert found.by == ["student", "oracle", "student", "student"]
    assert CHANCES.argmax(-1).tolist() == [0, 0, 1, 2]


def test_a_teacher_of_other_classes_and_several_samples() -> None:
    oracle = Oracle({"x": ["d", "c", "c"], "y": ["d", "d", "d"]}, LabelSpace(("d", "c")))
    found = defer(ITEMS, SPACE, CHANCES, "oracle", oracle.ask, 0.6)
    assert found.claims.tolist() == [0, 2, 1, 2] and found.answered.tolist() == [False, True, False, False]


def test_a_sure_student_asks_nobody() -> None:
    found = defer(ITEMS, SPACE, CHANCES, "oracle", Oracle({}).ask, 0.0)
    assert not found.asked.any() and found.claims.tolist() == [0, 0, 1, 2]


@given(st.floats(0, 1))
def test_who_is_asked_depends_on_confidence_alone(below: float) -> None:
    oracle = Oracle({item: ["b"] for item in ITEMS.ids})
    found = defer(ITEMS, SPACE, CHANCES, "oracle", oracle.ask, below)
    doubted = [max(row) < below for row in CHANCES.tolist()]
    assert found.asked.tolist() == found.answered.tolist() == doubted
    expected = [1 if doubt else own for doubt, own in zip(doubted, [0, 0, 1, 2], strict=True)]
    assert found.claims.tolist() == expected


@pytest.mark.parametrize("below", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_confidence_is_refused(below: float) -> None:
    with pytest.raises(DataError, match="legal is 0 to 1"):
        defer(ITEMS, SPACE, CHANCES, "oracle", Oracle({}).ask, below)


def test_a_teacher_without_a_common_label_is_refused() -> None:
    oracle = Oracle({"x": ["p"], "y": ["q"]}, LabelSpace(("p", "q")))
    with pytest.raises(DataError, match="no label in common"):
        defer(ITEMS, SPACE, CHANCES, "oracle", oracle.ask, 0.8)

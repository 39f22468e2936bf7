"""Which classes a task has where nobody listed them: gold's before teachers', and each lacking name once."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.classes import LENGTH, SHOWN, classes, lacking
from distrust.data import Items
from distrust.errors import DataError
from distrust.labels import LabelSpace
from distrust.recipe import Recipe
from distrust.recipe_file import parse_recipe

POOL = Items(("1", "2", "3"), ("x", "y", "z"), {"said": ["b", " ", ["a", None, "b"]], "more": ["c", "c", None]})


def recipe(*columns: str, **changes: Any) -> Recipe:
    teachers = [{"kind": "recorded", "name": one, "column": one} for one in columns]
    return parse_recipe({"data": {"pool": {"path": "pool.csv"}}, "teachers": teachers, **changes})


def test_what_is_listed_is_all_there_is() -> None:
    listed = recipe("said", labels=["q", "r"])
    assert classes(listed, POOL, ["a"], [LabelSpace(("b", "c"))]).names == ("q", "r")
    assert lacking(listed, POOL, LabelSpace(("q", "r")), ["a"]) == []


def test_gold_then_models_then_recorded_answers() -> None:
    asked = recipe("said", "more")
    assert classes(asked, POOL, ["z", "a", "z"], []).names == ("a", "z"), "recorded answers add nothing to classes of gold"
    assert classes(asked, POOL, ["z"], [LabelSpace(("b", "z"))]).names == ("z", "b")
    assert classes(asked, POOL, [], [LabelSpace(("b", "a"))]).names == ("b", "a"), "in the model's own order"
    assert classes(asked, POOL, ["z"], []).names == ("a", "b", "c"), "of one class alone nothing is learned"
    with pytest.raises(DataError, match="does not say which classes there are; list them under `labels`"):
        classes(recipe("more"), POOL, [], [])


def test_what_the_task_lacks_is_named_once_by_how_often_it_is_said() -> None:
    space = LabelSpace(("a", "z"))
    (said,) = lacking(recipe("said", "more"), POOL, space, ["b", "a", "q", "q"])
    assert "'q' (labelled: 2), 'b' (labelled: 1), 'c' (claimed by more: 2). Where" in said
    assert lacking(recipe("said"), POOL, LabelSpace(("a", "b")), ["A", " b "]) == [], "as a label is read anywhere"
    (long,) = lacking(recipe(), POOL, space, ["x" * 99, *(f"c{n}" for n in range(SHOWN + 2))])
    assert "x" * (LENGTH + 1) not in long and "and 3 more. Where" in long

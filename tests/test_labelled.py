"""Training sets: shapes, what is told, and keys that change with everything a fit depends on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from distrust.data import Items
from distrust.errors import DataError
from distrust.labelled import Labelled, from_gold, from_targets
from tests import worlds

ITEMS = Items(("a", "b", "c"), ("one", "two", "three"), {"extra": [1, 2, 3]})


def make(**changes: Any) -> Labelled:
    told = Labelled(
        ITEMS,
        torch.tensor([[0.5, 0.5], [0.0, 0.0], [0.0, 1.0]]),
        torch.tensor([-1, 1, -1]),
        torch.tensor([1.0, 2.0, 0.0]),
    )
    return replace(told, **changes)


def test_only_items_that_tell_something_are_told() -> None:
    told = make().told()
    assert told.items.ids == ("a", "b"), "the third has a target and no weight"
    assert make(labels=torch.full((3,), -1)).told().items.ids == ("a",)
    assert len(make(weight=torch.zeros(3)).told()) == 0


def test_what_it_has() -> None:
    both = make()
    assert both.has_targets and both.has_labels
    gold, targets = from_gold(ITEMS, torch.tensor([0, 1, 0]), 2, 3.0), from_targets(ITEMS, torch.full((3, 2), 0.5))
    assert gold.has_labels and not gold.has_targets and gold.targets.shape == (3, 2) and gold.weight.tolist() == [3.0] * 3
    assert targets.has_targets and not targets.has_labels and targets.labels.tolist() == [-1] * 3
    assert targets.weight.tolist() == [1.0] * 3


def test_adding_keeps_the_order_and_refuses_an_item_twice() -> None:
    first, second = make().select([2]), make().select([1, 0])
    both = first + second
    assert both.items.ids == ("c", "b", "a") and both.items.inputs == ("three", "two", "one")
    assert both.labels.tolist() == [-1, 1, -1] and both.weight.tolist() == [0.0, 2.0, 1.0]
    assert both.targets.tolist() == [[0.0, 1.0], [0.0, 0.0], [0.5, 0.5]]
    with pytest.raises(DataError, match="'c' stands for two items"):
        both + first


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": torch.zeros(2, 2)},
        {"labels": torch.zeros(4, dtype=torch.long)},
        {"weight": torch.ones(2)},
        {"items": ITEMS.select([0, 1])},
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="each item has one of each"):
        make(**changes)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["targets", "weight"])
def test_numbers_that_are_none_are_refused(name: str, value: float) -> None:
    spoilt = getattr(make(), name).clone()
    spoilt[1] = value
    with pytest.raises(DataError, match=f"A {name.removesuffix('s')} is negative or not finite"):
        make(**{name: spoilt})


def test_the_key_changes_with_everything_a_fit_reads_and_with_nothing_else() -> None:
    keys = [
        make().key,
        make(targets=make().targets * 0.5).key,
        make(labels=torch.tensor([-1, 0, -1])).key,
        make(weight=torch.ones(3)).key,
        make(items=Items(ITEMS.ids, ("one", "two", "four"))).key,
        make(items=Items(("a", "b", "d"), ITEMS.inputs)).key,
        make().select([1, 0, 2]).key,
    ]
    assert len(set(keys)) == len(keys)
    assert make(items=Items(ITEMS.ids, ITEMS.inputs)).key == keys[0], "another column is not read"


def test_what_else_is_told_of_an_item_goes_with_it_and_names_the_set() -> None:
    items, labels = worlds.points(6)
    more = torch.arange(12.0).reshape(6, 2)
    told = replace(from_gold(items, labels, 3), extra={"more": more})
    assert torch.equal(told.select([4, 1]).extra["more"], more[[4, 1]])
    assert torch.equal((told.select([0, 1]) + told.select([5])).extra["more"], more[[0, 1, 5]])
    keys = {told.key, from_gold(items, labels, 3).key, replace(told, extra={"more": more + 1}).key}
    assert len(keys) == 3
    with pytest.raises(DataError, match="the other"):
        told.select([0]) + from_gold(items, labels, 3).select([1])
    with pytest.raises(DataError, match="'more' has 2 rows for 6 items"):
        replace(told, extra={"more": more[:2]})


def test_a_mask_is_no_list_of_rows() -> None:
    told = make()
    for mask in (torch.tensor([True, False, True]), [True, False, True]):
        with pytest.raises(DataError, match="not by a mask"):
            told.select(mask)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="not by a mask"):
            told.items.select(mask)  # type: ignore[arg-type]
    assert len(told.select([])) == 0 and len(told.select(torch.tensor([], dtype=torch.long))) == 0

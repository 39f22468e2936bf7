"""Items: what they hold, and what are none."""

from __future__ import annotations

import pytest
import torch

from distrust.data import Items, concatenate, content_id
from distrust.errors import DataError


def test_items_are_selected_and_joined_with_all_their_columns() -> None:
    items = Items(("a", "b", "c"), ("x", "y", "z"), {"label": [1, 2, 3], "only": [4, 5, 6]})
    assert items.select([2, 0]) == Items(("c", "a"), ("z", "x"), {"label": [3, 1], "only": [6, 4]})
    assert items.select(torch.tensor([1])).ids == ("b",) and len(items.select([])) == 0
    assert items.rows(["c", "a"]) == [2, 0] and items.text(1) == "y"
    both = concatenate(items, Items(("d",), ("w",), {"label": [7]}))
    assert both.ids == ("a", "b", "c", "d") and both.columns == {"label": [1, 2, 3, 7]}


def test_tensors_and_pairs_are_inputs_too() -> None:
    images = Items(("a", "b"), torch.arange(8.0).reshape(2, 2, 2))
    assert images.select([1]).inputs.tolist() == [[[4, 5], [6, 7]]]  # type: ignore[union-attr]
    assert (
        images.text(0) == "tensor of shape (2, 2)" and concatenate(images, Items(("c",), torch.zeros(1, 2, 2))).ids[2] == "c"
    )
    pairs = Items(("a",), (("premise", "hypothesis"),))
    assert pairs.text(0) == "premise\nhypothesis"
    with pytest.raises(DataError, match="cannot be mixed"):
        concatenate(images, pairs)


def test_the_key_of_items_is_that_of_ids_and_inputs() -> None:
    items = Items(("a", "b"), ("x", "y"), {"label": [1, 2]})
    assert items.key == Items(("a", "b"), ("x", "y")).key
    others = [Items(("a", "b"), ("x", "z")), Items(("a", "c"), ("x", "y")), Items(("b", "a"), ("y", "x"))]
    others += [Items(("a", "b"), torch.tensor([0.0, 1])), Items(("a", "b"), torch.tensor([0.0, 2]))]
    assert len({items.key, *(one.key for one in others)}) == 6


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((("a", "b"), ("x",)), "2 ids but 1 inputs"),
        ((("a", "a"), ("x", "y")), "'a' stands for two items"),
        ((("a", "b"), ("x", "y"), {"label": [1]}), "'label' has 1 values for 2 items"),
    ],
)
def test_what_are_no_items_is_refused(parts: tuple, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError, match=said):
        Items(*parts)


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(DataError, match="'z' is none of the 1 items"):
        Items(("a",), ("x",)).rows(["a", "z"])


def test_a_text_that_no_file_can_hold_still_has_an_id() -> None:
    assert content_id("\ud800") != content_id("\ud801")

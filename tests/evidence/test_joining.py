"""What one source said of several sets of items, as one."""

from __future__ import annotations

import pytest
import torch

from distrust.errors import DataError
from distrust.evidence import Cost, Dense, Evidence, join
from distrust.labels import Candidates, LabelSpace
from tests.evidence.sources import ABC, source


def part(claims: list[list[int]], ids: str, value: float) -> Evidence:
    rows = len(ids)
    cost = Cost(*(torch.full((rows,), value, dtype=torch.float64) for _ in range(4)))
    logits = Dense(torch.full((rows, 3), value))
    features = {"pooled": torch.full((rows, 2), value)}
    return Evidence("t", tuple(ids), ABC, torch.tensor(claims), logits, features, [[str(value)]] * rows, cost)


def test_everything_that_hangs_on_an_item_goes_along_and_the_first_answer_stays() -> None:
    both = join([part([[0, 1]], "ab", 1.0), part([[2, 2, 2], [2, -1, 0]], "bcd", 2.0)])
    assert both.ids == ("a", "b", "c", "d")
    assert both.claims.tolist() == [[0, 1, 2, 2], [-1, -1, -1, 0]], "fewer samples are filled with abstentions"
    assert both.logits is not None and both.logits.dense()[:, 0].tolist() == [1, 1, 2, 2]
    assert both.features["pooled"][:, 1].tolist() == [1, 1, 2, 2]
    assert both.texts == [["1.0"], ["1.0"], ["2.0"], ["2.0"]]
    assert both.cost is not None and both.cost.money.tolist() == [1, 1, 2, 2]


def test_what_a_part_lacks_is_left_out_of_the_whole() -> None:
    plain = Evidence("t", ("z",), ABC, torch.tensor([[1]]))
    both = join([part([[0]], "a", 1.0), plain])
    assert (both.logits, both.texts, both.cost, dict(both.features)) == (None, None, None, {})
    assert join([plain]).claims.tolist() == plain.claims.tolist()
    with pytest.raises(DataError, match="one label space"):
        join([])
    with pytest.raises(DataError, match="one label space"):
        join([plain, source([[0]], name="else")])


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

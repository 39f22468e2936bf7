"""The benchmark of specialists: how classes are split, gold drawn, and what "no worse" means; its data are optional."""

from __future__ import annotations

import torch

from benchmarks._specialists import _few, _specialist, _split
from benchmarks.muka import _no_worse, _summary
from distrust.labels import LabelSpace


def test_classes_are_split_by_whole_groups_where_there_are_enough() -> None:
    domains = [["a", "b"], ["c"], ["d", "e"], ["f"]]
    assert _split(domains, 2) == [["a", "b", "c"], ["d", "e", "f"]]
    assert _split(domains, 4) == domains
    assert _split([list("abcdefg")], 3) == [["a", "b"], ["c", "d"], ["e", "f", "g"]], "the last takes the remainder"


def test_gold_shows_each_class_ten_times_or_as_often_as_there_is_one() -> None:
    truth = torch.tensor([0] * 30 + [1] * 4)
    rows = _few(truth, 2, 0)
    assert truth[rows].bincount().tolist() == [10, 4] and len(set(rows.tolist())) == 14


def test_a_specialist_learns_its_own_classes_alone() -> None:
    space = LabelSpace(("a", "b", "c"))
    truth = torch.arange(120) % 3
    inputs = torch.nn.functional.one_hot(truth, 3).float()
    made = _specialist("s", ["c", "a"], space, inputs, truth, 0)
    assert made.space.names == ("c", "a")
    from distrust.data import Items

    said = made.ask(Items(("x", "y"), torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))).claims[0].tolist()
    assert said == [1, 0]


def test_no_worse_is_an_interval_that_reaches_zero() -> None:
    assert _no_worse([80.0], [80.0]) and not _no_worse([79.9], [80.0])
    assert _no_worse([80.0, 82, 81], [80.5, 82.4, 80.9]) and not _no_worse([80.0, 82, 81], [81.0, 83.1, 82.0])


def test_the_summary_counts_rows_and_gains() -> None:
    from benchmarks.muka import METHODS

    row = {name: [70.0] for name in METHODS} | {"oracle": [80.0], "auto": [75.0], "auto.gold10": [76.0]}
    found = _summary({"one": row, "two": row | {"uhc": [90.0], "oracle": [74.0]}})
    assert found["mean_gain_over_vanilla_kd.no_gold"] == 5 and found["mean_gain_over_vanilla_kd.gold10"] == 6
    assert (found["rows_best_or_tied.no_gold"], found["rows_best_or_tied.gold10"], found["rows"]) == (1, 2, 2)
    assert found["one.closed.no_gold"] == found["least_closed.no_gold"] == 0.5 and found["least_closed.gold10"] == 0.6
    assert "two.closed.no_gold" not in found, "the oracle is near there"

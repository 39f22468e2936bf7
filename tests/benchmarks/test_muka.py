"""The benchmark of specialists: how classes are split, gold drawn, and what "no worse" means; its data are optional."""

from __future__ import annotations

import torch

from benchmarks._muka_cells import BARE, GOLD, METHODS, NO_GOLD
from benchmarks._specialists import AXES, _few, _specialist, _split
from benchmarks.muka import _no_worse, _summary
from distrust.data import Items
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
    said = made.ask(Items(("x", "y"), torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))).claims[0].tolist()
    assert said == [1, 0]


def test_a_mixed_pair_reads_words_and_axes_of_the_same_items() -> None:
    space = LabelSpace(("a", "b"))
    truth = torch.arange(1600) % 2
    inputs = torch.zeros(1600, AXES + 2)
    inputs[torch.arange(1600), AXES + truth] = 5.0  # only the words tell
    words = _specialist("w", ["a", "b"], space, inputs, truth, 0, "words")
    network = _specialist("n", ["a", "b"], space, inputs, truth, 0, "network")
    said = [one.ask(Items(("x", "y"), inputs[:2])).claims[0].tolist() for one in (words, network)]
    assert said[0] == [0, 1] and said[1] != [0, 1]


def test_what_merge_writes_is_measured_without_features() -> None:
    from distrust.methods.auto_suited import MERGED

    assert set(BARE) == {"merge", "merge.gold10"} and all(METHODS[one] == ("muka", MERGED) for one in BARE)
    without = {one.removesuffix(".gold10") for one in GOLD} ^ set(NO_GOLD)
    assert without == {"gold_only", "cfl", "muka.soft", "muka.one_pass", "muka.max_logit", "auto.hard_margin"}


def test_no_worse_is_an_interval_that_reaches_zero() -> None:
    assert _no_worse([80.0], [80.0]) and not _no_worse([79.9], [80.0])
    assert _no_worse([80.0, 82, 81], [80.5, 82.4, 80.9]) and not _no_worse([80.0, 82, 81], [81.0, 83.1, 82.0])


def test_the_summary_counts_rows_and_gains() -> None:
    row = {name: [70.0] for name in METHODS} | {"oracle": [80.0], "auto": [75.0], "auto.gold10": [76.0], "merge": [72.0]}
    found = _summary({"one": row, "two": row | {"uhc": [90.0], "oracle": [74.0]}})
    assert found["mean_gain_over_vanilla_kd.merge.no_gold"] == 2 and found["mean_gain_over_vanilla_kd.merge.gold10"] == 0
    assert found["mean_gain_over_vanilla_kd.no_gold"] == 5 and found["mean_gain_over_vanilla_kd.gold10"] == 6
    assert (found["rows_best_or_tied.no_gold"], found["rows_best_or_tied.gold10"], found["rows"]) == (1, 2, 2)
    assert found["rows_best_or_tied"] == 1, "with gold and without"
    assert found["one.closed.no_gold"] == found["least_closed.no_gold"] == 0.5 and found["least_closed.gold10"] == 0.6
    assert "two.closed.no_gold" not in found, "the oracle is near there"

"""One column of a stranger's table: its name's words, and whether its values look like numbers, texts or labels."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.column import CLASSES, Column, number


@pytest.mark.parametrize(
    ("name", "parts", "words"),
    [
        ("GPT4_label", {"gpt4", "label"}, {"gpt", "label"}),
        ("annotatorID", {"annotator", "id"}, {"annotator", "id"}),
        ("y", {"y"}, {"y"}),
        ("Was ist's? 3", {"was", "ist", "s", "3"}, {"was", "ist", "s"}),
        ("...", set(), set()),
    ],
)
def test_a_name_comes_apart(name: str, parts: set[str], words: set[str]) -> None:
    assert Column(name, []).parts == parts and Column(name, []).words == words


def test_blanks_are_no_cells_and_samples_are_counted_one_by_one() -> None:
    one = Column("said", ["a", " ", None, ["b", "a", None, ""], 3])
    assert dict(one.counts) == {"a": 2, "b": 1, "3": 1}
    assert one.cells == ["a", "['b', 'a', None, '']", "3"] and one.length == pytest.approx((1 + 20 + 1) / 3)
    empty = Column("said", [None, " "])
    assert (empty.cells, empty.length, empty.numeric, empty.wordy, empty.few) == ([], 0, False, False, False)


@pytest.mark.parametrize(
    ("values", "numeric", "wordy"),
    [
        (["1", 2.5, "-1e3", None], True, False),
        (["1", "nan"], False, False),
        (["1", "inf"], False, False),
        (["good morning", "good"], False, False),  # half is not most
        (["good morning", "good day", "no"], False, True),
    ],
)
def test_numbers_and_texts(values: list[Any], numeric: bool, wordy: bool) -> None:
    assert (Column("c", values).numeric, Column("c", values).wordy) == (numeric, wordy)


def test_labels_repeat_or_are_called_so() -> None:
    assert Column("c", ["a", "b", "a", "b"]).few and not Column("c", ["a", "b", "c", "a", "d"]).few
    assert Column("gold", ["a", "b", "c", "d"]).few, "the name makes up for a short table"
    assert not Column("gold", ["a", "b" * 81]).few
    many = [str(row) for row in range(CLASSES + 1)]
    assert Column("c", many[:-1] * 2).few and not Column("c", many * 2).few


def test_a_number_is_finite() -> None:
    assert (number(" 1.5 "), number("1e999"), number("-inf"), number("one"), number("")) == (1.5, None, None, None, None)

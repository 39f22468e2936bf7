"""Items are tokenised once, and what a student reads is what it would have read itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from distrust.data import Items
from distrust.labels import LabelSpace
from distrust.readings import Readings
from distrust.recipe import NgramStudent
from distrust.students import Encoded, ngram

TEXTS = (
    "the cup was won",
    "shares fell by a tenth",
    "rain and more rain",
    "the share price",
    "a cold wind",
    "the team won",
) * 3
POOL = Items(tuple(f"p{row}" for row in range(len(TEXTS))), TEXTS)
GOLD = Items(("p1", "g0"), (TEXTS[1], "gold of its own"))


@dataclass
class Counting:
    """A real n-gram student that counts what it tokenises."""

    seed: int = 0
    buckets: int = 512
    seen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = NgramStudent(buckets=self.buckets, dimension=4)
        self.student = ngram.build(options, LabelSpace(("a", "b")), self.seed, POOL)
        self.reads = self.student.reads

    def encode(self, items: Items) -> Encoded:
        self.seen.append(len(items))
        return self.student.encode(items)


def same(one: Encoded, other: Encoded) -> bool:
    rows = torch.randperm(len(one), generator=torch.Generator().manual_seed(0))
    left, right = one.batch(rows), other.batch(rows)
    return len(one) == len(other) and all(torch.equal(left[name], right[name]) for name in left)


def test_parts_of_the_pool_and_gold_outside_it_are_read_from_one_tokenisation() -> None:
    readings, scout, student = Readings(POOL, GOLD), Counting(0), Counting(1)
    for items in (POOL, POOL.select([5, 2, 9]), GOLD):
        assert same(readings.of(scout, items), student.student.encode(items))  # type: ignore[arg-type]
        readings.of(student, items)  # type: ignore[arg-type]
    assert scout.seen == [len(POOL) + 1] and student.seen == []


def test_a_student_that_reads_otherwise_is_given_its_own() -> None:
    readings, other = Readings(POOL, GOLD), Counting(buckets=256)
    readings.of(Counting(), POOL)  # type: ignore[arg-type]
    assert same(readings.of(other, POOL), other.student.encode(POOL)) and other.seen == [len(POOL) + 1]  # type: ignore[arg-type]


def test_a_known_id_with_another_text_is_another_item() -> None:
    readings, student = Readings(POOL, GOLD), Counting()
    readings.of(student, POOL)  # type: ignore[arg-type]
    test = Items(("p0", "p1"), ("nothing like it", TEXTS[1]))
    assert same(readings.of(student, test), student.student.encode(test))  # type: ignore[arg-type]
    tensors = Items(("p0",), torch.zeros(1, 2))
    with pytest.raises(Exception, match="texts"):
        readings.of(student, tensors)  # type: ignore[arg-type]


def test_a_few_items_do_not_have_the_whole_pool_tokenised_and_others_are_kept_while_they_repeat() -> None:
    readings, student = Readings(POOL, GOLD), Counting()
    for _ in range(3):
        readings.of(student, POOL.select([4]))  # type: ignore[arg-type]
    assert student.seen == [1]

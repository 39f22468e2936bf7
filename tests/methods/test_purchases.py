"""Buying in stages: who is asked what and in which order, where canaries stand, and what an alarm leaves unbought."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distrust.data import Items, concatenate
from distrust.methods.assisted import Signals
from distrust.methods.purchases import Purchase, Shop, _parts, _shares, as_one
from distrust.trust import two_kinds
from tests import worlds
from tests.methods.loop_worlds import ANSWERS, GOLD, POOL, Watched, opened

PLAIN = Signals(signals=[])


@pytest.mark.parametrize(
    ("canaries", "stages", "shares"),
    [(5, [10, 10], [2, 3]), (4, [30, 10], [3, 1]), (0, [5, 5], [0, 0]), (3, [0, 9], [0, 3]), (2, [0, 0], [0, 0])],
)
def test_canaries_go_with_stages_in_proportion(canaries: int, stages: list[int], shares: list[int]) -> None:
    assert _shares(canaries, stages) == shares


def test_each_part_ends_at_a_canary_and_all_are_asked_once(tmp_path: Path) -> None:
    items, _ = worlds.points(14)
    mine, gold = items.select(range(10)), items.select(range(10, 14))
    parts = _parts(concatenate(mine, gold), mine.ids, gold.ids, seed=3)
    ends = [sum(item in gold.ids for item in part.ids) for part in parts]
    assert ends in ([1, 1, 1, 1], [1, 1, 1, 1, 0]) and all(part.ids[-1] in gold.ids for part in parts[:4])
    order = [item for part in parts for item in part.ids]
    assert [item for item in order if item in mine.ids] == list(mine.ids) and sorted(order) == sorted(items.ids)
    assert [part.ids for part in _parts(mine, mine.ids, (), 3)] == [mine.ids] and _parts(items.select([]), (), (), 3) == []


def test_several_teachers_are_samples_of_one_source(tmp_path: Path) -> None:
    with opened(tmp_path, [Watched("teacher"), Watched("assistant")]) as run:
        items = run.pool.select([5, 2, 9])
        said = [run.ask(teacher, items) for teacher in run.teachers]
        both = as_one(run, said, items)
        assert both.ids == items.ids and torch.equal(both.claims, torch.cat([one.claims for one in said]))
        assert as_one(run, said[:1], items) is said[0]


def test_a_stage_asks_its_items_and_its_canaries_of_every_teacher_once(tmp_path: Path) -> None:
    with opened(tmp_path, [Watched("teacher"), Watched("assistant")]) as run:
        shop = Shop(run, PLAIN, 6, [20, 10])
        first, second = run.pool.select(range(GOLD, GOLD + 20)), run.pool.select(range(GOLD + 20, GOLD + 30))
        hidden = shop.hidden().ids
        got = shop.buy(first)[-1]
        assert got.items.ids == first.ids == tuple(shop.asked) == got.said.ids and got.said.claims.shape == (2, 20)
        assert len(hidden) == 4 == shop.met and not set(hidden) & set(shop.asked) and shop.sold == set(first.ids)
        later = shop.hidden().ids
        shop.buy(second)
        for teacher in run.teachers:
            assert sorted(teacher.asked) == sorted([*first.ids, *second.ids, *hidden, *later])  # type: ignore[attr-defined]
        assert shop.met == 6 and len(set(hidden) | set(later)) == 6 and not shop.paused
        assert got.in_teacher is None and got.threshold is None


def test_an_alarm_ends_a_stage_and_says_so(tmp_path: Path) -> None:
    teacher = Watched("teacher")
    with opened(tmp_path, [teacher]) as run:
        shop = Shop(run, PLAIN, 20, [10, 60])
        shop._shares = [8, 12]
        shop.buy(run.pool.select(range(GOLD, GOLD + 10)))
        assert not shop.paused
        teacher.breaks = 0
        asked = run.pool.select(range(GOLD + 10, GOLD + 70))
        got = shop.buy(asked)[-1]
        assert shop.paused and 0 < len(got.items) < 60 and got.items.ids == asked.ids[: len(got.items)]
        assert any("Buying is paused: the teachers were right on" in note for note in run.warnings)


def test_rows_of_a_purchase_go_together() -> None:
    items, _ = worlds.points(4)
    said = Watched("teacher", replace(items, columns={"teacher": list("abca")})).ask(items)
    some = Purchase(items, said, torch.tensor([0.1, 0.2, 0.3, 0.4]), None, 0.5).select(torch.tensor([3, 1]))
    assert some.items.ids == some.said.ids == (items.ids[3], items.ids[1]) and some.said.claims.tolist() == [[0, 1]]
    assert some.in_teacher is not None and some.in_teacher.tolist() == pytest.approx([0.4, 0.2]) and some.threshold == 0.5


def test_all_purchases_are_brought_to_one_scale(tmp_path: Path) -> None:
    """The first is too small for chances by agreement, until there is more."""
    draw = random.Random(0)
    five = [[one if draw.random() < 0.6 else worlds.SPACE.names[draw.randrange(3)] for _ in range(5)] for one in ANSWERS]
    pool = Items(POOL.ids, POOL.inputs, {**POOL.columns, "five": five})
    with opened(tmp_path, [Watched("teacher", pool)], Watched("five", pool), pool, gold=0) as run:
        shop = Shop(run, Signals(calibrate="agreement"), 0, [12, 40])
        (first,) = shop.buy(pool.select(range(12)))
        again, second = shop.buy(pool.select(range(12, 52)))
    raw = torch.tensor([each.count(one) / 5 for each, one in zip(five, ANSWERS, strict=True)], dtype=torch.float64)
    assert first.in_teacher is not None and again.in_teacher is not None and second.in_teacher is not None
    assert torch.allclose(first.in_teacher, raw[:12])
    expected = two_kinds(raw[:52], 5)(raw[:52], 5)
    assert torch.allclose(torch.cat([again.in_teacher, second.in_teacher]), expected)

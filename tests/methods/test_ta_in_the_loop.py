"""ta-in-the-loop over classes, on real runs with recorded teachers: the card's traps 4 to 7 and 9, and bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.data import Items
from distrust.errors import DistrustError, RunError
from distrust.evidence import Evidence
from distrust.labels import LabelSpace
from distrust.methods.assisted import Signals, read
from distrust.methods.ta_in_the_loop import DECLARED
from tests import worlds
from tests.methods.loop_worlds import ANSWERS, GOLD, POOL, SIZE, Watched, carried, equal, opened


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stages": 1},
        {"stages": 4, "select": "committee"},
        {"select": "k_centre"},
        {"select": "entropy", "use": "weigh"},
        {"select": "margin", "use": "route", "sure": 0.5, "agreed": 0.5},
        {"select": "random", "threshold": 0.5, "signals": ["s3"]},
        {"canaries": 6, "calibrate": "isotonic"},
    ],
)
def test_exactly_the_budget_is_asked_and_nothing_twice(options: dict[str, Any], tmp_path: Path) -> None:
    teacher, assistant = Watched("teacher"), Watched("assistant")
    with opened(tmp_path, [teacher], assistant) as run:
        student = carried(run, **options)
        assert DECLARED in run.notes
    gold = set(POOL.ids[:GOLD])
    assert len(teacher.asked) == len(set(teacher.asked)) == 30
    assert len(gold & set(teacher.asked)) == options.get("canaries", 0), "gold is bought as canaries alone"
    assert all(bool(value.isfinite().all()) for value in student.module.state_dict().values())


def test_a_share_of_the_pool_is_a_budget_and_every_teacher_is_asked_the_same(tmp_path: Path) -> None:
    teachers = [Watched("teacher"), Watched("assistant")]
    with opened(tmp_path, teachers) as run:
        carried(run, budget=0.25)
        told = run.fits["student"].labelled
    assert len(teachers[0].asked) == round(0.25 * (SIZE - GOLD)) and set(teachers[0].asked) == set(teachers[1].asked)
    assert len(told) == GOLD + len(teachers[0].asked), "with no assistant nothing is dropped"


def test_dropped_answers_were_asked_and_are_not_learned(tmp_path: Path) -> None:
    teacher = Watched("teacher")
    with opened(tmp_path, [teacher], Watched("assistant")) as run:
        carried(run, drop=0.5, conflict=False, gold_weight=0)
        told = run.fits["student"].labelled
        assert any("asked about 30 items; 1" in note for note in run.notes)
    assert len(told) < 20 and set(told.items.ids) < set(teacher.asked) and len(teacher.asked) == 30


class Refusing(Watched):
    def ask(self, items: Items) -> Evidence:
        raise AssertionError("asked")


def test_signals_of_what_is_left_touch_no_teacher(tmp_path: Path) -> None:
    with opened(tmp_path, [Refusing("teacher")], Watched("assistant")) as run:
        student = run.fit("gold", run.gold_labelled())
        said = read(run, student, POOL.select(range(GOLD, SIZE)), Signals())
        assert said.consistency is not None and said.in_student is not None and len(said.consistency) == SIZE - GOLD
        assert set(run.signals) == {
            f"{name}{more}"
            for name in ("s1: student's self-consistency", "s2: assistant on the student")
            for more in ("", ", calibrated")
        }


def test_without_signals_it_is_random_purchase_and_fine_tuning_bit_for_bit(tmp_path: Path) -> None:
    """The reference of the paper's gain: λ has no say then, and two stages at random are one."""
    found = []
    plain = {"select": "random", "drop": 0, "conflict": False}
    for place, options in enumerate(
        ({**plain, "lam": 0.2}, {**plain, "lam": 0.9, "stages": 3}, {"signals": [], "stages": 1})
    ):
        teacher = Watched("teacher")
        with opened(tmp_path / str(place), [teacher], Watched("assistant")) as run:
            found.append((carried(run, **options), set(teacher.asked)))
    assert equal(found[0][0], found[1][0]) and equal(found[0][0], found[2][0]) and found[0][1] == found[1][1] == found[2][1]
    with opened(tmp_path / "by hand", [Watched("teacher")]) as run:
        from distrust.claimed import told_by

        items = POOL.select([row for row, item in enumerate(POOL.ids) if item in found[0][1]])
        told = told_by([run.ask(run.teachers[0], items)], items, worlds.SPACE)
        assert equal(found[0][0], run.fit("student", run.with_gold(told, 1.0)))


def test_a_teacher_that_says_one_thing_of_everything_is_warned_of(tmp_path: Path) -> None:
    pool = Items(POOL.ids, POOL.inputs, {**POOL.columns, "teacher": ["b"] * SIZE})
    with opened(tmp_path, [Watched("teacher", pool)], Watched("assistant"), pool) as run:
        carried(run)
        assert "The teachers gave all 30 bought items one answer, 'b': a student learns no other." in run.warnings
        assert any(note.startswith("s3 is not calibrated by gold, which takes 20 canaries") for note in run.notes)
    with opened(tmp_path / "others", [Watched("teacher")], Watched("assistant")) as run:
        carried(run)
        assert not any("one answer" in one for one in run.warnings)


def test_lambda_one_ignores_the_assistant(tmp_path: Path) -> None:
    asked = []
    for place, options in enumerate(({"lam": 1.0}, {"signals": ["s1"]}, {"lam": 0.0})):
        teacher = Watched("teacher")
        with opened(tmp_path / str(place), [teacher], Watched("assistant")) as run:
            carried(run, drop=0, conflict=False, **options)
        asked.append(set(teacher.asked))
    assert asked[0] == asked[1] != asked[2]


def test_what_was_not_bought_cannot_matter(tmp_path: Path) -> None:
    """The recorded answers that stay hidden are others: the student is the same."""
    teacher = Watched("teacher")
    with opened(tmp_path / "a", [teacher], Watched("assistant")) as run:
        first = carried(run)
    seen = set(teacher.asked)
    other = [one if item in seen else "c" for item, one in zip(POOL.ids, ANSWERS, strict=True)]
    pool = Items(POOL.ids, POOL.inputs, {**POOL.columns, "teacher": other})
    assert other != ANSWERS
    with opened(tmp_path / "b", [Watched("teacher", pool)], Watched("assistant"), pool) as run:
        assert equal(first, carried(run))


def test_the_order_of_the_pool_changes_no_random_purchase(tmp_path: Path) -> None:
    asked = []
    for place, pool in enumerate((POOL, POOL.select(list(reversed(range(SIZE)))))):
        teacher = Watched("teacher")
        with opened(tmp_path / str(place), [teacher], None, pool) as run:
            carried(run, stages=1)
        asked.append(set(teacher.asked))
    assert asked[0] == asked[1]


def test_equal_weights_are_no_weights(tmp_path: Path) -> None:
    """An assistant whose two samples always say the teacher's answer and another one: every s3 is one half."""
    half = [[one, "b" if one == "a" else "a"] for one in ANSWERS]
    pool = Items(POOL.ids, POOL.inputs, {**POOL.columns, "half": half})
    found = []
    for place, options in enumerate(({"use": "weigh", "boost": 0}, {"signals": []})):
        with opened(tmp_path / str(place), [Watched("teacher", pool)], Watched("half", pool), pool) as run:
            found.append(carried(run, select="random", conflict=False, calibrate="none", gold_weight=0, **options))
            assert run.fits["student"].labelled.weight.unique().tolist() == ([0.5] if not place else [1.0])
    assert equal(*found)


def test_a_run_that_was_killed_goes_on_to_the_same_student(tmp_path: Path) -> None:
    with opened(tmp_path / "whole", [Watched("teacher")], Watched("assistant")) as run:
        whole = carried(run)
    teacher = Watched("teacher")
    for dies in (5, 25):  # in the first stage, in the second
        teacher.asked, teacher.dies = [], dies
        with pytest.raises(KeyboardInterrupt), opened(tmp_path / "killed", [teacher], Watched("assistant")) as run:
            carried(run)
    before = set(teacher.asked)
    teacher.dies = None
    with opened(tmp_path / "killed", [teacher], Watched("assistant")) as run:
        assert equal(whole, carried(run))
    assert before < set(teacher.asked) and len(set(teacher.asked)) == 30


def test_the_last_student_may_go_on_from_the_warm_up(tmp_path: Path) -> None:
    found = []
    for restart in (True, False, False):
        with opened(tmp_path / f"{len(found)}", [Watched("teacher")]) as run:
            found.append(carried(run, restart=restart))
    assert not equal(found[0], found[1]) and equal(found[1], found[2])


def test_canaries_pause_what_a_broken_teacher_would_cost(tmp_path: Path) -> None:
    teacher = Watched("assistant")
    teacher.breaks = 40
    with opened(tmp_path, [teacher]) as run:
        carried(run, budget=96, canaries=24, warm_up=0.4)
        paused = [one for one in run.warnings if one.startswith("Buying is paused")]
        assert len(paused) == 1 and len(run.fits["student"].labelled) > GOLD
    assert 40 < len(teacher.asked) < 90 and len(set(teacher.asked)) == len(teacher.asked)
    with opened(tmp_path / "well", [Watched("assistant")]) as run:
        carried(run, budget=96, canaries=24, warm_up=0.4)
        assert not run.warnings


class Silent(Watched):
    """Says nothing any more after so many items, as behind a cap that was reached."""

    def ask(self, items: Items) -> Evidence:
        said = super().ask(items)
        if len(self.asked) <= 40:
            return said
        return replace(said, claims=torch.full_like(said.claims, -1), texts=[[] for _ in items.ids])


def test_canaries_that_nobody_answered_are_no_alarm(tmp_path: Path) -> None:
    teacher = Silent("assistant")
    with opened(tmp_path, [teacher]) as run:
        carried(run, budget=96, canaries=24, warm_up=0.4)
        assert not run.warnings and len(teacher.asked) == 96


def test_gold_finds_the_threshold_where_it_shows_that_the_assistant_knows(tmp_path: Path) -> None:
    oracle = Items(POOL.ids, POOL.inputs, {**POOL.columns, "oracle": [worlds.SPACE.names[row % 3] for row in range(SIZE)]})
    for name, note in (("oracle", False), ("teacher", True)):  # one knows; one repeats the teacher
        assistant = Watched(f"{name}-again", oracle, column=name)
        with opened(tmp_path / name, [Watched("teacher", oracle)], assistant, oracle) as run:
            carried(run, budget=72, canaries=24, threshold="gold", conflict=False, gold_weight=0)
            told = run.fits["student"].labelled
            right = [worlds.SPACE.names[int(row.argmax())] == oracle.columns["oracle"][oracle.rows([item])[0]]
                     for item, row in zip(told.items.ids, told.targets, strict=True)]  # fmt: skip
            assert any("have not shown" in one for one in run.notes) is note
            assert all(right) is not note


def test_the_next_part_is_forecast_before_it_is_bought_and_not_bought_where_it_would_gain_too_little(tmp_path: Path) -> None:
    for stop, bought in (("advise", 30), ("stop", 9)):
        teacher = Watched("teacher")
        with opened(tmp_path / stop, [teacher]) as run:
            carried(run, stop=stop, least_gain=1.0)
            said = [one for one in run.notes if "forecast to gain" in one]
        assert len(said) == 1 and "24 gold items" in said[0] and len(teacher.asked) == bought


@pytest.mark.parametrize("gold", [0, 5])
def test_with_little_gold_or_none_nothing_is_forecast_and_no_signal_is_calibrated(gold: int, tmp_path: Path) -> None:
    teacher = Watched("teacher")
    with opened(tmp_path, [teacher], Watched("assistant"), gold=gold) as run:
        carried(run, stop="advise", stages=4)
        assert len(teacher.asked) == 30 and any("No forecast" in note for note in run.notes)
        assert not any("calibrated" in name for name in run.signals) and bool(run.signals) is bool(gold)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"budget": 1}, r"1 answers leave a stage empty at a warm-up of 0\.3; give 4 or more"),
        ({"budget": 3, "warm_up": 0.1}, "3 answers leave a stage empty"),
        ({"canaries": 30}, "30 canaries do not fit the 24 gold items that may calibrate and a budget of 30"),
        ({"threshold": "gold"}, "threshold: gold is found on canaries"),
        ({"use": "route", "signals": ["s1"]}, "use: route tells items"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_bought(
    options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with opened(tmp_path, [Refusing("teacher")], Watched("assistant")) as run, pytest.raises(DistrustError, match=sentence):
        carried(run, **options)


def test_an_assistant_with_other_labels_is_refused_before_anything_is_bought(tmp_path: Path) -> None:
    pool = Items(POOL.ids, POOL.inputs, {"colour": ["red"] * SIZE})
    stranger = Watched("colour", pool, LabelSpace(("red", "blue")))
    with (
        opened(tmp_path, [Refusing("teacher")], stranger) as run,
        pytest.raises(RunError, match="none of the task's classes"),
    ):
        carried(run)


def test_dropping_everything_is_a_sentence(tmp_path: Path) -> None:
    match = r"None of the 9 bought answers is used: the assistant's highest confidence in one is 1, the threshold is 2"
    with opened(tmp_path, [Watched("teacher")], Watched("assistant")) as run, pytest.raises(RunError, match=match):
        carried(run, threshold=2.0)


def test_an_assistant_that_always_agrees_drops_nothing_and_one_is_not_needed(tmp_path: Path) -> None:
    echo = Items(POOL.ids, POOL.inputs, {**POOL.columns, "echo": [["a", "b", "c"]] * SIZE})
    found = []
    for place, assistant in enumerate((Watched("echo", echo), None)):
        with opened(tmp_path / str(place), [Watched("teacher")], assistant) as run:
            found.append(carried(run))
            assert len(run.fits["student"].labelled) == GOLD + 30
            notes = " ".join(run.notes)
        assert ("s3 is the same of every answer" in notes) is (place == 0)
        assert ("There is no assistant" in notes) is (place == 1)
    assert equal(*found), "it leaves the choice to the student too"


def test_a_student_that_says_the_same_of_everything_buys_at_random(tmp_path: Path) -> None:
    """Its items are all alike, so that no signal tells them apart."""
    pool = Items(POOL.ids, torch.zeros_like(POINTS), POOL.columns)
    teacher = Watched("teacher", pool)
    with opened(tmp_path, [teacher], None, pool, gold=0) as run:
        carried(run)
        assert any("needs every item alike" in note for note in run.notes)
        assert len(set(teacher.asked)) == 30


POINTS = worlds.points(SIZE)[0].inputs
assert isinstance(POINTS, torch.Tensor)

"""What every method must be where answers are open, as test_conformance where there are classes.

Those that follow a language model's tokens are held to all of it; the others refuse texts in a sentence, or learn from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust.data import REFERENCE, Items
from distrust.errors import DistrustError
from distrust.finish import gather, write
from distrust.gold import Gold
from distrust.labelled import Labelled
from distrust.labels import OPEN
from distrust.methods import METHODS, find
from distrust.recipe import Price, Recorded, Train
from distrust.run import Run
from distrust.students import Student
from distrust.teachers.recorded import RecordedTeacher
from tests import writers
from tests.methods import tutored
from tests.methods.conformance_stops import Stops, finished, plain
from tests.methods.test_conformance import LESS, OF_CLASSES, OF_TEXTS, equal, weights

EACH = pytest.mark.parametrize("name", OF_TEXTS)
EVERY_STEP = tutored.LOOP.model_copy(update={"save_seconds": 0})
BRIEF = tutored.LOOP.model_copy(update={"num_train_epochs": 1, "save_seconds": 0})
BRIEFLY: dict[str, dict[str, Any]] = LESS | {"ta-in-the-loop": {"samples": 2, "budget": 12}}
ORDERS = ((0, 1, 2), (2, 0, 1))
ITEMS, ANSWERS = writers.flips(24)


def said(place: int) -> list[str]:
    """What one of three teachers wrote: of a quarter the other answer; silent of some, where the others tie or agree."""
    other = {"yes": "no", "no": "yes"}

    def left_out(row: int, answer: str) -> str:
        silent = row // 4 % 3
        tied = row % 8 == 7 and place == (silent + 1) % 3
        return "" if place == silent else other[answer] if tied else answer

    return [{place: other[answer], 3: left_out(row, answer)}.get(row % 4, answer) for row, answer in enumerate(ANSWERS)]


POOL = Items(ITEMS.ids, ITEMS.inputs, {f"t{place}": said(place) for place in range(3)} | {REFERENCE: ANSWERS})
GOLD, GOLD_ITEMS = Gold(POOL.ids[:6], torch.zeros(6, dtype=torch.long), OPEN), POOL.select(range(6))


def recorded() -> list[RecordedTeacher]:
    columns = [Recorded(kind="recorded", name=f"t{place}", column=f"t{place}") for place in range(3)]
    return [RecordedTeacher(one, OPEN, POOL, tutored.HOW) for one in columns]


@contextmanager
def opened(folder: Path, teachers: Sequence[Any], loop: Train = BRIEF) -> Iterator[Run]:
    run = Run(
        folder,
        space=None,
        answers=tutored.HOW,
        pool=POOL,
        teachers=teachers,
        new_student=tutored.student,
        gold=GOLD,
        gold_items=GOLD_ITEMS,
        options=loop,
    )
    try:
        yield run
    finally:
        run.close()


def texts(labelled: Labelled) -> dict[str, dict[str, float]]:
    """What each item is told, whatever stands first."""
    assert labelled.texts is not None
    rows = zip(labelled.items.ids, labelled.texts.answers, labelled.targets.tolist(), strict=True)
    return {item: {text: weight for text, weight in zip(said, row, strict=False) if weight} for item, said, row in rows}


def learnt(name: str, run: Run, **options: object) -> Student:
    method, checked = find(name, options)
    student: Student = method.run(run, checked)
    return student


@cache
def whole(name: str) -> tuple[dict[str, Tensor], set[str]]:
    """The student of a run that nobody disturbed, and the stages by which it came."""
    with TemporaryDirectory() as folder, tutored.opened(Path(folder), tutored.teacher(), gold=8) as run:
        return weights(learnt(name, run)), set(finished(Path(folder)))


@EACH
def test_it_is_repeatable_durable_and_leaves_everything_as_it_was(name: str, tmp_path: Path) -> None:
    asked, options = tutored.teacher(), METHODS[name].options()
    before, seen = state(asked.model.module), asked.fingerprint
    torch.manual_seed(5)
    drawn = torch.random.get_rng_state()
    with tutored.opened(tmp_path, asked, gold=8) as run:
        given = run.pool, run.gold, run.gold_items, run.options, options
        handed = plain(given)
        first = weights(METHODS[name].run(run, options))
    assert torch.equal(torch.random.get_rng_state(), drawn), "the global random state is the caller's"
    assert plain(given) == handed, "so are the pool, gold, the loop and the options"
    assert equal(before, state(asked.model.module)) and asked.fingerprint == seen
    assert all(one.requires_grad and one.grad is None for one in asked.model.module.parameters())
    stages = finished(tmp_path)
    torch.manual_seed(77)
    with tutored.opened(tmp_path, asked, gold=8) as run:
        assert equal(first, weights(learnt(name, run)))
    assert finished(tmp_path) == stages
    assert equal(first, whole(name)[0]), "another folder changes nothing"


@EACH
def test_stopped_anywhere_it_goes_on_and_ends_alike(name: str, tmp_path: Path) -> None:
    student, stages = whole(name)
    stops = Stops()
    found = stops.through(
        lambda: tutored.opened(tmp_path, tutored.teacher(), EVERY_STEP, gold=8), lambda run: learnt(name, run)
    )
    assert stops.stopped >= 3
    assert equal(weights(found), student)
    assert set(finished(tmp_path)) == stages


@EACH
def test_the_order_of_those_who_wrote_the_texts_changes_nothing_of_what_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    class Enough(Exception):
        pass

    def fit(_: Run, called: str, labelled: Labelled, **more: object) -> Student:
        told.append(texts(labelled))
        raise Enough

    monkeypatch.setattr(Run, "fit", fit)
    for order in ORDERS:
        asked: list[Any] = [*recorded(), tutored.teacher()]
        with opened(tmp_path / str(order[0]), [asked[place] for place in (*order, 3)]) as run, pytest.raises(Enough):
            learnt(name, run)
    assert told[0] == told[1] and len(told[0]) >= 20


@pytest.mark.parametrize("name", OF_CLASSES)
def test_open_answers_are_refused_in_a_sentence_or_learned_in_any_order_of_teachers(name: str, tmp_path: Path) -> None:
    """And after stops. Texts have no mean: where as many teachers say one thing as another, the first one's text is told, so
    here a majority is on one side. Of an item that is told several texts their order decides what a batch draws: there what
    is told is compared.
    """
    handed = plain((POOL, GOLD, GOLD_ITEMS))
    found: list[tuple[dict[str, Tensor], dict[str, dict[str, float]]]] = []

    def carry(run: Run) -> Student:
        student = learnt(name, run, **BRIEFLY.get(name, {}))
        found.append((weights(student), texts(list(run.fits.values())[-1].labelled)))
        return student

    one, two, three = recorded()
    with opened(tmp_path / "a", [one, two, three]) as run:
        try:
            carry(run)
        except DistrustError as error:
            assert "needs classes" in str(error)
            return
    Stops().through(lambda: opened(tmp_path / "b", [three, one, two]), carry)
    (first, told), (second, other) = found
    assert told == other and plain((POOL, GOLD, GOLD_ITEMS)) == handed
    assert equal(first, second)


def test_on_given_texts_speculative_kd_is_gkd(tmp_path: Path) -> None:
    with opened(tmp_path / "a", [*recorded(), tutored.teacher()]) as run:
        plainly = weights(learnt("gkd", run, on_policy=0))
    with opened(tmp_path / "b", [*recorded(), tutored.teacher()]) as run:
        assert equal(weights(learnt("speculative-kd", run, interleaved=0)), plainly)


@EACH
def test_its_report_is_complete(name: str, tmp_path: Path) -> None:
    with tutored.opened(tmp_path, tutored.teacher(), gold=8) as run:
        student = learnt(name, run)
        facts = gather(
            run,
            {"student": student},
            (tutored.judged(), torch.zeros(24, dtype=torch.long)),
            method=name,
            options=METHODS[name].options().model_dump(),
            recipe={},
            kinds={"texts": "recorded", "big": "causal"},
            prices={"texts": Price(per_call=0), "big": Price(per_call=0)},
        )
        text = write(facts, student, tmp_path).read_text()
    assert facts.history and {row["fit"] for row in facts.history} >= {"student"}
    assert name in text and len(text) < 2_000_000


@EACH
def test_without_gold_and_without_texts_the_teacher_writes_them(name: str, tmp_path: Path) -> None:
    with tutored.opened(tmp_path, tutored.teacher(), recorded=False) as run:
        student = learnt(name, run)
        assert any("big wrote those that the student learns from" in said for said in run.notes)
    assert all(bool(value.isfinite().all()) for value in weights(student).values())


def state(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}

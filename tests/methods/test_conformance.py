"""What every method must be, whichever it is: durable, repeatable, considerate, indifferent to order, and fully reported.

A new method is tested here by its entry in the table of methods alone. Those that follow a language model's tokens are in
test_conformance_texts, and what one teacher means to each is in test_conformance_one_teacher.
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
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DistrustError
from distrust.finish import gather, write
from distrust.gold import Gold
from distrust.methods import METHODS, find
from distrust.methods.auto_suited import Candidate, Situation, why_not
from distrust.recipe import Price, Strict, Train
from distrust.report.facts import Facts
from distrust.run import Run
from distrust.students import Student
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher
from tests import worlds
from tests.methods.conformance_stops import Stops, finished, plain

NAMES = ("careful", "hasty", "muddled")
LESS: dict[str, dict[str, Any]] = {"gold-only": {"min_steps": 8}}  # options that make a method brief, and nothing else


def of_texts(name: str) -> bool:
    """Whether a method says that it follows a language model's tokens; what is said nowhere is found out by the tests."""
    return "language model" in (why_not(Candidate(name), Situation(3, 18, 18)) or "")


OF_TEXTS = sorted(filter(of_texts, METHODS))
OF_CLASSES = sorted(set(METHODS) - set(OF_TEXTS))
EACH = pytest.mark.parametrize("name", OF_CLASSES)


def points(count: int, seed: int, prefix: str) -> tuple[Items, Tensor]:
    items, labels = worlds.points(count, seed)
    ids = tuple(f"{prefix}{row}" for row in range(count))
    return Items(ids, items.inputs, {"note": [[row] for row in range(count)]}), labels


POOL, LABELS = points(90, 0, "p")
TEST, TRUTH = points(60, 1, "t")
GOLD, GOLD_ITEMS = Gold(POOL.ids[:18], LABELS[:18], worlds.SPACE), POOL.select(range(18))
TRAIN = Train(num_train_epochs=2, learning_rate=1e-2)
BRIEF = TRAIN.model_copy(update={"num_train_epochs": 1})
EVERY_STEP = TRAIN.model_copy(update={"save_seconds": 0})


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3))


@cache
def _trained(place: int) -> dict[str, Tensor]:
    """A few steps of training, for the last one on labels in which two classes are exchanged."""
    labels = torch.tensor([1, 0, 2])[LABELS] if NAMES[place] == "muddled" else LABELS
    with torch.random.fork_rng():
        torch.manual_seed(place)
        net = network()
        optimiser = torch.optim.Adam(net.parameters(), 0.05)
        for _ in range(40):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(POOL.inputs), labels).backward()
            optimiser.step()
    return net.state_dict()


def teachers() -> list[ModuleTeacher]:
    """One of them exchanges two classes; with dropout and features."""
    found = []
    for place, name in enumerate(NAMES):
        with torch.random.fork_rng():
            net = network()
        net.load_state_dict(_trained(place))
        found.append(ModuleTeacher(name, net, worlds.SPACE, features={"feature": "3.input"}, heads={"feature": ["3"]}))
    return found


@contextmanager
def opened(folder: Path, asked: Sequence[ModuleTeacher], loop: Train = TRAIN, gold: bool = True) -> Iterator[Run]:
    run = Run(
        folder,
        space=worlds.SPACE,
        pool=POOL,
        teachers=asked,
        new_student=lambda seed: ModuleStudent(worlds.network(seed), worlds.SPACE),
        gold=GOLD if gold else None,
        gold_items=GOLD_ITEMS if gold else None,
        options=loop,
    )
    try:
        yield run
    finally:
        run.close()


def options_of(name: str) -> Strict:
    return find(name, LESS.get(name, {}))[1]


def carried(name: str, run: Run) -> Student:
    student: Student = METHODS[name].run(run, options_of(name))
    return student


def weights(student: Student) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in student.module.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@cache
def whole(name: str) -> tuple[dict[str, Tensor], set[str]]:
    """The student of a run that nobody disturbed, and the stages by which it came."""
    with TemporaryDirectory() as folder, opened(Path(folder), teachers()) as run:
        return weights(carried(name, run)), set(finished(Path(folder)))


@EACH
def test_it_is_repeatable_durable_and_leaves_everything_as_it_was(name: str, tmp_path: Path) -> None:
    asked, options = teachers(), options_of(name)
    before = [weights_of(one) for one in asked]
    handed = plain((POOL, GOLD, GOLD_ITEMS, TRAIN, options))
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    with opened(tmp_path, asked) as run:
        first = weights(METHODS[name].run(run, options))
    assert torch.equal(torch.random.get_rng_state(), state), "the global random state is the caller's"
    assert plain((POOL, GOLD, GOLD_ITEMS, TRAIN, options)) == handed, "so are the pool, gold, the loop and the options"
    assert all(equal(one, weights_of(each)) for one, each in zip(before, asked, strict=True))
    assert all(one._module.training and all(p.requires_grad for p in one._module.parameters()) for one in asked)
    assert all(p.grad is None for one in asked for p in one._module.parameters())
    stages = finished(tmp_path)
    torch.manual_seed(77)
    with opened(tmp_path, asked) as run:
        again = weights(carried(name, run))
    assert equal(first, again)
    assert finished(tmp_path) == stages
    assert equal(first, whole(name)[0]), "another folder and another random state change nothing"


def weights_of(teacher: ModuleTeacher) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in teacher._module.state_dict().items()}


@EACH
def test_stopped_anywhere_it_goes_on_and_ends_alike(name: str, tmp_path: Path) -> None:
    student, stages = whole(name)
    stops = Stops()
    found = stops.through(lambda: opened(tmp_path, teachers(), EVERY_STEP), lambda run: carried(name, run))
    assert stops.stopped >= 3
    assert equal(weights(found), student)
    assert set(finished(tmp_path)) == stages, "by the same stages, whole ones all"


@EACH
def test_the_order_of_teachers_changes_nothing(name: str, tmp_path: Path) -> None:
    """But for the rounding of a sum; what is split, drawn or kept by a rounded figure would show as another student."""
    found = []
    for order in ((0, 1, 2), (2, 0, 1)):
        asked = teachers()
        with opened(tmp_path / str(order[0]), [asked[place] for place in order], BRIEF) as run:
            found.append(weights(carried(name, run)))
    for key, value in found[0].items():
        torch.testing.assert_close(value, found[1][key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted({*OF_CLASSES} - {"gold-only"}))  # which tells nobody what teachers said
def test_its_report_is_complete(name: str, tmp_path: Path) -> None:
    with opened(tmp_path, teachers()) as run:
        student = carried(name, run)
        facts = reported(run, name, student)
        page = write(facts, student, tmp_path)
    text = page.read_text()
    assert facts.history and facts.targets is not None and facts.targets.shape == (90, 3)
    assert bool((facts.targets.sum(-1) > 0).any()), "somebody was told something"
    assert {row["fit"] for row in facts.history} >= {"student"}
    assert name in text and "is right on" in text and len(text) < 2_000_000


def reported(run: Run, name: str, student: Student) -> Facts:
    options = METHODS[name].options().model_dump()
    kinds, prices = dict.fromkeys(NAMES, "classifier"), dict.fromkeys(NAMES, Price(per_call=0))
    given = {"method": name, "options": options, "recipe": {}, "kinds": kinds, "prices": prices}
    return gather(run, {"student": student}, (TEST, TRUTH), **given)


@EACH
def test_gold_alone_or_no_gold_ends_in_a_student_or_in_a_sentence(name: str, tmp_path: Path) -> None:
    with opened(tmp_path, teachers(), BRIEF, gold=False) as run:
        try:
            assert all(bool(value.isfinite().all()) for value in weights(carried(name, run)).values())
        except DistrustError as error:
            assert "gold" in str(error)


@pytest.mark.parametrize("name", OF_TEXTS)
def test_what_follows_a_language_model_refuses_classes_in_a_sentence(name: str, tmp_path: Path) -> None:
    with opened(tmp_path, teachers(), BRIEF) as run, pytest.raises(DistrustError, match="language model"):
        carried(name, run)

"""What every method must be, whichever it is: durable, repeatable, considerate, indifferent to order, and fully reported.

A new method is tested here by its entry in the table of methods alone. What one of them cannot be, it says below, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.finish import gather, write
from distrust.gold import Gold
from distrust.methods import METHODS
from distrust.recipe import Price, Train
from distrust.report.facts import Facts
from distrust.run import Run
from distrust.students import Student
from distrust.students.module import ModuleStudent
from distrust.teachers.classifier import ModuleTeacher
from tests import worlds

NAMES = ("careful", "hasty", "muddled")
# learn from a language model, where answers are open: test_conformance_texts
OF_TEXTS = ["distillm", "gkd", "okd", "speculative-kd", "taid", "uld"]
OF_CLASSES = set(METHODS) - set(OF_TEXTS)
EACH = pytest.mark.parametrize("name", sorted(OF_CLASSES))
SPLITS = {  # whoever splits the pool by what a student or a vote says there turns a rounding of 1e-7 into other halves
    "co-teaching", "elr", "mckd", "peer-advised", "selective", "self-distillation", "small-loss",
}  # fmt: skip


def points(count: int, seed: int, prefix: str) -> tuple[Items, Tensor]:
    items, labels = worlds.points(count, seed)
    return Items(tuple(f"{prefix}{row}" for row in range(count)), items.inputs), labels


POOL, LABELS = points(90, 0, "p")
TEST, TRUTH = points(60, 1, "t")


def teachers() -> list[ModuleTeacher]:
    """Trained in a few steps, one of them on labels in which two classes are exchanged; with dropout and features."""
    found = []
    for place, name in enumerate(NAMES):
        labels = torch.tensor([1, 0, 2])[LABELS] if name == "muddled" else LABELS
        with torch.random.fork_rng():
            torch.manual_seed(place)
            net = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3))
            optimiser = torch.optim.Adam(net.parameters(), 0.05)
            for _ in range(40):
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(POOL.inputs), labels).backward()
                optimiser.step()
            optimiser.zero_grad()
        found.append(ModuleTeacher(name, net, worlds.SPACE, features={"feature": "3.input"}, heads={"feature": ["3"]}))
    return found


@contextmanager
def opened(folder: Path, asked: list[ModuleTeacher], pool: Items = POOL) -> Iterator[Run]:
    run = Run(
        folder,
        space=worlds.SPACE,
        pool=pool,
        teachers=asked,
        new_student=lambda seed: ModuleStudent(worlds.network(seed), worlds.SPACE),
        gold=Gold(POOL.ids[:18], LABELS[:18], worlds.SPACE),
        gold_items=POOL.select(range(18)),
        options=Train(num_train_epochs=2, learning_rate=1e-2),
    )
    try:
        yield run
    finally:
        run.close()


def carried(name: str, run: Run) -> Student:
    student: Student = METHODS[name].run(run, METHODS[name].options())
    return student


def weights(student: Student) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in student.module.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@EACH
def test_it_is_repeatable_durable_and_leaves_everything_as_it_was(name: str, tmp_path: Path) -> None:
    asked = teachers()
    before = [weights_of(one) for one in asked]
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    with opened(tmp_path / "a", asked) as run:
        first = weights(carried(name, run))
    assert torch.equal(torch.random.get_rng_state(), state), "the global random state is the caller's"
    assert all(equal(one, weights_of(each)) for one, each in zip(before, asked, strict=True))
    assert all(one._module.training and all(p.requires_grad for p in one._module.parameters()) for one in asked)
    assert all(p.grad is None for one in asked for p in one._module.parameters())
    stages = {path: path.stat().st_mtime_ns for path in (tmp_path / "a" / "stages").rglob("done.json")}
    torch.manual_seed(77)
    with opened(tmp_path / "a", asked) as run:
        again = weights(carried(name, run))
    assert equal(first, again)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a" / "stages").rglob("done.json")} == stages
    with opened(tmp_path / "b", teachers()) as run:
        assert equal(first, weights(carried(name, run))), "another folder and another random state change nothing"


def weights_of(teacher: ModuleTeacher) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in teacher._module.state_dict().items()}


@pytest.mark.parametrize("name", sorted(OF_CLASSES - SPLITS))
def test_the_order_of_teachers_changes_nothing(name: str, tmp_path: Path) -> None:
    found = []
    for order in ((0, 1, 2), (2, 0, 1)):
        asked = teachers()
        with opened(tmp_path / str(order[0]), [asked[place] for place in order]) as run:
            found.append(weights(carried(name, run)))
    for key, value in found[0].items():
        torch.testing.assert_close(value, found[1][key], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", sorted(OF_CLASSES - {"gold-only"}))  # which tells nobody what teachers said
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
    from distrust.errors import DistrustError

    run = Run(
        tmp_path,
        space=worlds.SPACE,
        pool=POOL,
        teachers=teachers(),
        new_student=lambda seed: ModuleStudent(worlds.network(seed), worlds.SPACE),
        options=Train(num_train_epochs=1),
    )
    try:
        assert all(bool(value.isfinite().all()) for value in weights(carried(name, run)).values())
    except DistrustError as error:
        assert "gold" in str(error)
    finally:
        run.close()

"""What stages of buying would have left: students that are the run's own, and what had been spent where all is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.bought import Bought, buying
from distrust.data import Items
from distrust.evidence import Cost, Evidence
from distrust.labelled import Labelled
from distrust.recipe import Price
from distrust.report.facts import Spending
from distrust.run import Run
from distrust.students import answer
from distrust.teachers.module import ModuleTeacher
from tests import runs, worlds

FREE = {"teacher": Price(per_call=0), "llm": Price()}


class Paid(ModuleTeacher):
    """A teacher that keeps account of what it costs."""

    def spending(self) -> Spending:
        return Spending(self.name, 0, 0, 0, 0.0)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    teachers = [
        ModuleTeacher("teacher", worlds.network(7), worlds.SPACE),
        Paid("llm", worlds.network(8), worlds.SPACE),
    ]
    run = runs.make(tmp_path, teachers=teachers)
    yield run
    run.close()


def held_out() -> tuple[Items, Tensor]:
    items, labels = worlds.points(50, seed=3)
    return Items(tuple(f"t{row}" for row in range(50)), items.inputs), labels


def said(name: str, claims: list[int], money: list[float] | None = None) -> Evidence:
    ids = tuple(f"p{row}" for row in range(len(claims)))
    cost = None if money is None else replace(Cost.free(len(claims)), money=torch.tensor(money, dtype=torch.float64))
    return Evidence(name, ids, worlds.SPACE, torch.tensor([claims]), cost=cost)


def stage(items: int, told: Labelled, *evidence: Evidence, name: str = "student", epochs: int | None = None) -> Bought:
    return Bought(name, items, told, evidence, epochs)


def right(student: object, test: tuple[Items, Tensor]) -> list[bool]:
    return (answer(student, test[0]).claims[0] == test[1]).tolist()  # type: ignore[arg-type]


def test_nothing_bought_is_nothing_to_show(run: Run) -> None:
    student = run.fit("student", worlds.told())
    assert buying(run, {"student": student}, held_out(), FREE) is None
    run.bought = [stage(5, worlds.told())]
    assert buying(run, {"student": student}, held_out(), FREE) is None, "one point is no line"
    found = buying(run, {"student": student, "gold-only": worlds.student(5)}, held_out(), FREE)
    assert found is not None and list(found.items) == [0, 5] and list(found.money) == [0.0, 0.0]
    assert list(found.calls) == [0, 0]
    assert found.right.tolist() == [right(worlds.student(5), held_out()), right(student, held_out())]


def test_calls_are_the_ledgers_or_every_claim(run: Run) -> None:
    bought = said("llm", [1, 0, -1], [0.5, 0.5, 0.0])
    assert bought.cost is not None
    bought = replace(bought, cost=replace(bought.cost, calls=torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)))
    run.bought = [stage(3, worlds.told(), bought, said("teacher", [1, 2, -1]))]
    student = run.fit("student", worlds.told())
    found = buying(run, {"student": student, "gold-only": worlds.student(5)}, held_out(), FREE)
    assert found is not None and list(found.calls) == [0, 8], "six calls, and two claims of who is not paid"


def test_earlier_stages_are_trained_as_the_run_trains_and_the_last_is_the_runs_own(run: Run) -> None:
    told, test = worlds.told(), held_out()
    some = told.select(range(12))
    student = run.fit("student", told)
    logged = dict(run.fits)
    run.bought = [
        stage(12, some, said("teacher", [0] * 12), name="first"),
        stage(40, told, said("teacher", [0] * 40)),
    ]
    found = buying(run, {"student": student}, test, {"teacher": Price(per_call=0.5)})
    assert found is not None and list(found.items) == [12, 40] and list(found.money) == [6.0, 20.0]
    assert run.fits.keys() == logged.keys() and all(run.fits[name] is logged[name] for name in logged), (
        "the log is the method's"
    )
    assert found.right.tolist() == [right(run.fit("again", some), test), right(student, test)]
    few = run.bought[0] = replace(run.bought[0], epochs=1)
    shorter = buying(run, {"student": student}, test, {"teacher": Price(per_call=0.5)})
    assert shorter is not None and shorter.right[0].tolist() == right(run.fit("again", some, epochs=few.epochs), test)


NAN = float("nan")


@pytest.mark.parametrize(
    ("evidence", "prices", "money"),
    [
        ([], {}, 0.0),
        ([said("teacher", [0, -1, 2])], {"teacher": Price(per_call=2)}, 4.0),
        ([said("teacher", [0, -1, 2])], {"teacher": Price(per_call=0)}, 0.0),
        ([said("teacher", [0, 1])], {"teacher": Price()}, None),
        ([said("llm", [0, -1], [0.25, 0.5])], {"llm": Price(per_call=9)}, 0.75),  # by the ledger, failed answers too
        ([said("llm", [0, 1], [0.25, NAN])], {"llm": Price(per_call=9)}, None),
        ([said("llm", [0, 1], [0.25, 0.25]), said("teacher", [1])], {"llm": Price(), "teacher": Price(per_call=1)}, 1.5),
        ([said("llm", [0, 1], [0.25, 0.25]), said("teacher", [1])], {"llm": Price(), "teacher": Price()}, None),
        ([said("llm", [0, 1])], {"llm": Price()}, None),
    ],
)
def test_unknown_is_never_nothing(run: Run, evidence: list[Evidence], prices: dict[str, Price], money: float | None) -> None:
    run.bought = [stage(2, worlds.told(), *evidence)]
    found = buying(run, {"student": worlds.student(), "gold-only": worlds.student()}, held_out(), prices)
    assert found is not None and found.money[1] == money

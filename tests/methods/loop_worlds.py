"""Points with recorded teachers and assistants, for tests of ta-in-the-loop: what is asked is written down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from distrust.data import Items
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods.ta_in_the_loop import TaInTheLoop, ta_in_the_loop
from distrust.recipe import Recorded, Train
from distrust.run import Run
from distrust.students import Student
from distrust.students.module import ModuleStudent
from distrust.teachers.recorded import RecordedTeacher
from tests import worlds

SIZE, GOLD = 120, 24
POINTS, LABELS = worlds.points(SIZE)
TRUTH = [worlds.SPACE.names[label] for label in LABELS.tolist()]


def told(wrong: float, seed: int) -> list[str]:
    """The truth, but the next class for a share of the items."""
    drawn = torch.rand(SIZE, generator=torch.Generator().manual_seed(seed)) < wrong
    return [worlds.SPACE.names[(label + one) % 3] for label, one in zip(LABELS.tolist(), drawn.long().tolist(), strict=True)]


ANSWERS = told(0.3, 1)
POOL = Items(POINTS.ids, POINTS.inputs, {"teacher": ANSWERS, "assistant": told(0.15, 2)})


class Watched(RecordedTeacher):
    """A recorded teacher that writes down what it is asked, and can break after so many items."""

    def __init__(self, name: str, pool: Items = POOL, space: LabelSpace = worlds.SPACE, column: str | None = None) -> None:
        super().__init__(Recorded(kind="recorded", name=name, column=column or name), space, pool)
        self.asked: list[str] = []
        self.breaks: int | None = None  # after so many items it is wrong
        self.dies: int | None = None  # before it answers so many

    def ask(self, items: Items) -> Evidence:
        if self.dies is not None and len(self.asked) + len(items) > self.dies:
            raise KeyboardInterrupt
        late = torch.arange(len(items)) + len(self.asked) >= (self.breaks if self.breaks is not None else 10**9)
        self.asked += items.ids
        said = super().ask(items)
        return replace(said, claims=torch.where(late, (said.claims + 1) % 3, said.claims))


@contextmanager
def opened(
    folder: Path, teachers: Sequence[Any], assistant: Any = None, pool: Items = POOL, gold: int = GOLD, **more: Any
) -> Iterator[Run]:
    run = Run(
        folder,
        space=worlds.SPACE,
        pool=pool,
        teachers=teachers,
        assistant=assistant,
        new_student=lambda seed: ModuleStudent(worlds.network(seed), worlds.SPACE),
        gold=Gold(POOL.ids[:gold], LABELS[:gold], worlds.SPACE),
        gold_items=POOL.select(range(gold)),
        options=Train(num_train_epochs=3, learning_rate=1e-2, per_device_train_batch_size=16),
        **more,
    )
    try:
        yield run
    finally:
        run.close()


def carried(run: Run, **options: Any) -> Student:
    return ta_in_the_loop(run, TaInTheLoop.model_validate({"budget": 30, "stop": "never", **options}))


def weights(student: Student) -> list[torch.Tensor]:
    return [value.clone() for value in student.module.state_dict().values()]


def equal(one: Student, other: Student) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))

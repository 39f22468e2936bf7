"""A small run over the points of `worlds`."""

from __future__ import annotations

from pathlib import Path

from distrust.gold import Gold
from distrust.recipe import Train
from distrust.run import Run
from distrust.teachers.module import ModuleTeacher
from tests import worlds


def make(folder: Path, **changes: object) -> Run:
    items, labels = worlds.points()
    settings = {
        "space": worlds.SPACE,
        "pool": items,
        "teachers": [ModuleTeacher("teacher", worlds.network(7), worlds.SPACE)],
        "new_student": worlds.student,
        "gold": Gold(items.ids[:9], labels[:9], worlds.SPACE),
        "options": Train(num_train_epochs=2, learning_rate=1e-2),
    }
    return Run(folder, **(settings | changes))  # type: ignore[arg-type]

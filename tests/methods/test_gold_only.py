"""gold-only: the reference learns from gold and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.methods.gold_only import GoldOnly, gold_only
from distrust.recipe import Train
from distrust.run import Run
from tests import worlds

ITEMS, LABELS = worlds.points(50)


class Untouchable:
    """A teacher that nobody may ask."""

    name, space, fingerprint, keeps_answers = "llm", worlds.SPACE, "f", True

    def ask(self, items: Items) -> Evidence:
        raise AssertionError("gold-only asked a teacher")


def run(folder: Path, gold: Gold | None = None, epochs: int = 1, **changes: Any) -> Run:
    return Run(
        folder,
        space=worlds.SPACE,
        teachers=[Untouchable()],
        new_student=worlds.student,
        options=Train(num_train_epochs=epochs, per_device_train_batch_size=4),
        **({"pool": ITEMS, "gold": Gold(ITEMS.ids[:9], LABELS[:9], worlds.SPACE) if gold is None else gold} | changes),
    )


def test_no_teacher_is_asked_and_the_pool_changes_nothing(tmp_path: Path) -> None:
    weights = [
        gold_only(run(tmp_path / name, pool=pool), GoldOnly(min_steps=5)).module.state_dict()
        for name, pool in (("all", ITEMS), ("some", ITEMS.select(range(20))))
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize(("epochs", "steps", "trained"), [(1, 10, 4), (7, 10, 7), (1, 1, 1), (1, 300, 100)])
def test_it_trains_so_many_epochs_that_there_are_enough_steps(tmp_path: Path, epochs: int, steps: int, trained: int) -> None:
    work = run(tmp_path, epochs=epochs)
    gold_only(work, GoldOnly(min_steps=steps))
    assert len(work.fits["gold-only"].history) == trained, "9 gold items are 3 steps of 4"


def test_reserved_gold_is_left_to_its_purpose(tmp_path: Path) -> None:
    work = run(tmp_path, Gold(ITEMS.ids[:9], LABELS[:9], worlds.SPACE, {"prompt": 2, "stop": 3}))
    gold_only(work, GoldOnly(min_steps=1))
    learned = work.fits["gold-only"].labelled
    others = {*work.gold.part("prompt").ids, *work.gold.part("stop").ids}
    assert len(learned) == 4 and not others & set(learned.items.ids)


def test_without_gold_it_is_refused(tmp_path: Path) -> None:
    empty = Gold((), torch.zeros(0, dtype=torch.long), worlds.SPACE)
    with pytest.raises(RunError, match="gives none for training"):
        gold_only(run(tmp_path, empty), GoldOnly())

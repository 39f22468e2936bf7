"""A teacher whose claims are known, and runs of `auto` on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust.data import Items
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.methods import find
from distrust.recipe import Train
from distrust.run import Run
from distrust.students.module import ModuleStudent
from tests import worlds

POOL, LABELS = worlds.points(120)
FEW = {"candidates": ["distill", "muka", "best-teacher"], "folds": 2}


class Told:
    """A teacher whose claims are known; it counts how often it was asked about an item."""

    space, keeps_answers = worlds.SPACE, False

    def __init__(self, name: str, claims: Tensor) -> None:
        self.name, self.fingerprint, self.asked = name, f"told {claims.tolist()}", dict.fromkeys(POOL.ids, 0)
        self._claims = claims

    def ask(self, items: Items) -> Evidence:
        for one in items.ids:
            self.asked[one] = self.asked.get(one, 0) + 1
        known = dict(zip(POOL.ids, self._claims.tolist(), strict=True))
        return Evidence(self.name, items.ids, self.space, torch.tensor([[known.get(one, -1) for one in items.ids]]))


def exchanging() -> Told:
    return Told("careful", torch.tensor([1, 0, 2])[LABELS])


def opened(folder: Path, teachers: list[Any], gold: int = 60, **more: Any) -> Run:
    """Most gold is in the pool, some of it outside."""
    pool = POOL.select(range(10, 120))
    return Run(
        folder,
        space=worlds.SPACE,
        pool=pool,
        teachers=teachers,
        new_student=lambda seed: ModuleStudent(worlds.network(seed), worlds.SPACE),
        gold=Gold(POOL.ids[:gold], LABELS[:gold], worlds.SPACE),
        gold_items=POOL.select(range(gold)),
        options=Train(num_train_epochs=4, per_device_train_batch_size=8, learning_rate=3e-2),
        **more,
    )


def carried(run: Run, **options: Any) -> Any:
    method, checked = find("auto", FEW | options)
    return method.run(run, checked)

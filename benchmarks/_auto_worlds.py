"""The worlds of `auto`: those of `peer_advised`, `worlds` and `muka`, each as a run and test items.

Knows where each world comes from and how its students are made there. Knows nothing of methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import _noisy_worlds, _specialists, _worlds
from distrust.data import Items
from distrust.gold import Gold
from distrust.recipe import NgramStudent, Train
from distrust.run import Run
from distrust.students import ngram
from distrust.students.module import ModuleStudent

FEW = {"digits": 100, "mnist": 100, "trec": 200, "clinc150": 450}  # gold labels of several teachers' worlds, as `worlds` has
LOOP = Train(num_train_epochs=12, per_device_train_batch_size=64, learning_rate=3e-3)  # of specialists' students
DEVELOPMENT = ("r52", "trec", "clinc150", "digits")


@dataclass(frozen=True)
class Row:
    """One world: `one` teacher that is wrong in a known way, `several`, or `specialists` of different classes."""

    kind: str
    set: str
    about: str  # noise and its amount, the world, or how many specialists
    gold: int = 50  # of one teacher's worlds; 0: none

    @property
    def name(self) -> str:
        return ".".join([self.set, self.about] + ([] if self.gold == 50 else [f"gold{self.gold}"]))

    @property
    def closing(self) -> bool:
        """Whether it is opened for the closing figures alone."""
        return self.set not in DEVELOPMENT


@dataclass(frozen=True)
class Opened:
    """A run of a world, and what its students are judged on."""

    run: Run
    test: Items
    labels: Tensor  # (T,)


def opened(row: Row, seed: int, folder: Path) -> Opened:
    """The row's run in a folder, to be closed by the caller."""
    return {"one": _one, "several": _several, "specialists": _merged}[row.kind](row, seed, folder)


def _one(row: Row, seed: int, folder: Path) -> Opened:
    teacher, _, amount = row.about.partition(" ")
    here = _noisy_worlds.world(row.set, teacher, int(amount or 0), seed)
    plain = NgramStudent()
    idf = ngram.inverse_frequencies(plain, here.pool)
    order = torch.randperm(len(here.pool), generator=torch.Generator().manual_seed(seed))
    rows = order[: row.gold]
    run = Run(
        folder / "run",
        space=here.space,
        pool=here.pool,
        teachers=[_noisy_worlds.Said(here)],
        new_student=lambda start: ngram.build(plain, here.space, start, here.pool, idf),
        gold=Gold(tuple(here.pool.ids[row] for row in rows.tolist()), here.truth[rows], here.space),
        seed=seed,
    )
    return Opened(run, here.test, here.test_labels)


def _several(row: Row, seed: int, folder: Path) -> Opened:
    here = _worlds.world(row.set, row.about, seed, folder / "teachers")
    split, pictures = here.split, row.set in _worlds.PICTURES
    drawn = torch.randperm(len(split.pool), generator=torch.Generator().manual_seed(seed))[: FEW[row.set]]
    run = Run(
        folder / "run",
        space=split.space,
        pool=split.pool,
        teachers=here.teachers,
        new_student=here.new_student,
        gold=Gold(tuple(split.pool.ids[row] for row in drawn.tolist()), split.truth[drawn], split.space),
        options=Train(num_train_epochs=60 if pictures else 10, per_device_train_batch_size=64 if pictures else 32),
        seed=seed,
    )
    return Opened(run, split.test, split.test_labels)


def _merged(row: Row, seed: int, folder: Path) -> Opened:
    here = _specialists.world(row.set, int(row.about.split(" ")[0]), seed)
    width, rows = here.pool.inputs.shape[1], here.gold.tolist() if row.gold else []  # type: ignore[union-attr]
    run = Run(
        folder / "run",
        space=here.space,
        pool=here.pool,
        teachers=here.teachers,
        new_student=lambda start: ModuleStudent(_specialists.network(width, len(here.space), 7 + start), here.space),
        gold=Gold(tuple(here.pool.ids[row] for row in rows), here.truth[rows], here.space),
        options=LOOP,
        seed=seed,
    )
    return Opened(run, here.test, here.test_labels)

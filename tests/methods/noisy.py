"""A small world for methods that doubt claims: clusters, teachers whose claims are written down, and a run over them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust import checkpoint, train
from distrust.data import Items
from distrust.distillation import default_objective
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labelled import Labelled
from distrust.methods import find
from distrust.recipe import Train
from distrust.run import Run
from distrust.students import Student
from tests import worlds

CLASSES = len(worlds.SPACE)
LOOP = Train(num_train_epochs=3, per_device_train_batch_size=8, learning_rate=3e-2)


def clusters(count: int = 60, spread: float = 0.5) -> tuple[Items, Tensor]:
    """Three clusters in the plane, well apart, and their labels (count,); ids in no order."""
    draw = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % CLASSES
    angle = labels * 2 * torch.pi / CLASSES
    inputs = 2 * torch.stack([angle.cos(), angle.sin()], 1) + spread * torch.randn(count, 2, generator=draw)
    names = torch.randperm(count, generator=draw).tolist()
    return Items(tuple(f"p{name:03d}" for name in names), inputs), labels


ITEMS, LABELS = clusters()


def corrupted(labels: Tensor, share: float = 0.3, seed: int = 0) -> Tensor:
    """Labels (N,) of which a share is another class, at random."""
    draw = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(labels), generator=draw) < share
    return torch.where(wrong, (labels + torch.randint(1, CLASSES, labels.shape, generator=draw)) % CLASSES, labels)


class Said:
    """A teacher whose claims (N,) on all items are written down here; -1 abstains."""

    keeps_answers = True

    def __init__(self, name: str, items: Items, claims: Tensor) -> None:
        self.name, self.fingerprint, self.space = name, name, worlds.SPACE
        self.items, self.claims = items, claims

    def ask(self, items: Items) -> Evidence:
        return Evidence(self.name, items.ids, self.space, self.claims[self.items.rows(items.ids)][None])


def work(
    folder: Path,
    claims: Tensor | None = None,
    items: Items = ITEMS,
    labels: Tensor = LABELS,
    gold: int = 0,
    dropout: float = 0.0,
    options: Train = LOOP,
    reserve: dict[str, int] | None = None,
    **changes: Any,
) -> Run:
    """A run over clusters with one teacher, by default wrong in 30 of 100, and gold for the first few items."""
    teacher = Said("teacher", items, corrupted(labels) if claims is None else claims)
    settings = {
        "space": worlds.SPACE,
        "pool": items,
        "teachers": [teacher],
        "new_student": lambda seed: worlds.student(seed, dropout),
        "gold": Gold(items.ids[:gold], labels[:gold], worlds.SPACE, reserve or {}),
        "options": options,
    }
    return Run(folder, **(settings | changes))


def carry(run: Run, name: str, **options: Any) -> Student:
    """A method's student, by the method's name in a recipe; the folder is free afterwards."""
    method, checked = find(name, options)
    student = method.run(run, checked)
    run.close()
    return student


def weights(student: Student) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in student.module.state_dict().items()}


def same(one: Student, other: Student) -> bool:
    """Bit for bit."""
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def fit(folder: Path, name: str, labelled: Labelled, epochs: int = 3, dropout: float = 0.0) -> Student:
    """A fresh student trained by the loop alone, without a run; dropout is drawn by the student's name."""
    student, loop = worlds.student(0, dropout), LOOP.model_copy(update={"num_train_epochs": epochs})
    (folder / name).mkdir(parents=True)
    side = train.Side(student, default_objective(labelled), loop, name)
    train.fit([side], train.Fit(name, labelled, loop, 0, folder / name))
    return student


def chances(student: Student, items: Items) -> list[list[float]]:
    """What a student says of items, in eval mode: N rows of probabilities."""
    student.module.eval()
    with torch.no_grad():
        return student.module(items.inputs).softmax(-1).tolist()  # type: ignore[no-any-return]


def claims(student: Student, items: Items) -> list[int]:
    """The likeliest class of every item."""
    return [row.index(max(row)) for row in chances(student, items)]


def accuracy(student: Student, items: Items = ITEMS, labels: Tensor = LABELS) -> float:
    return sum(one == label for one, label in zip(claims(student, items), labels.tolist(), strict=True)) / len(labels)


def killed_at(do: Callable[[], object], name: str, save: int) -> None:
    """Do something in another process that is really killed, once the fit `name` has written so many checkpoints."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        return
    written, real = 0, checkpoint.save

    def strike(folder: Path, *rest: Any) -> None:
        nonlocal written
        real(folder, *rest)
        written += folder.name.startswith(f"fit-{name}-")
        if written == save:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        checkpoint.save = strike
        do()
    finally:
        os._exit(1)

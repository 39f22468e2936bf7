"""The embedded default: five teachers of handwritten digits, two of them systematically wrong, and 50 gold labels.

Knows scikit-learn's bundled digits and the Python way into a run; a program of your own can look like `demo`.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.finish import gather, write
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.methods import METHODS
from distrust.recipe import Price, Train
from distrust.run import Run
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher

SPACE = LabelSpace(tuple("0123456789"))
EXCHANGED = {"swaps-3-5-and-4-9": ((3, 5), (4, 9), (1, 7)), "swaps-0-6-and-2-8": ((0, 6), (2, 8), (1, 7))}
SIMULATED = "Two of the five teachers are wrong on purpose: they were trained on labels with pairs of digits exchanged."
WAYS: dict[str, tuple[str, dict[str, Any]]] = {  # from trusting all alike to believing as far as gold says
    "distill-hard": ("distill", {"targets": "hard"}),
    "distill-soft": ("distill", {"targets": "soft"}),
    "gold-only": ("gold-only", {}),
    "student": ("distill", {"trust": "confusions"}),
}


def demo(folder: Path, seed: int = 0) -> Path:
    """Train the teachers, ask them, distil in each of WAYS, and write the report; returns its path."""
    images, labels = _digits(seed)
    pool = Items(tuple(f"digit-{row}" for row in range(600, 1300)), images[600:1300])
    test = Items(tuple(f"digit-{row}" for row in range(1300, len(images))), images[1300:])
    rows = torch.arange(50)
    run = Run(
        folder,
        space=SPACE,
        pool=pool,
        teachers=_teachers(images[:600], labels[:600], seed),
        new_student=lambda start: ModuleStudent(_network(start), SPACE),
        gold=Gold(pool.select(rows).ids, labels[600:650], SPACE, seed=seed),
        options=Train(num_train_epochs=40, learning_rate=3e-3),
        seed=seed,
    )
    with closing(run):
        students = {}
        for name, (method, options) in WAYS.items():  # the one to keep comes last, so that the report tells of its fit
            students[name] = METHODS[method].run(run, METHODS[method].options(**options))
        facts = gather(
            run,
            students,
            (test, labels[1300:]),
            method="distill",
            options=WAYS["student"][1],
            recipe={"demo": "distrust demo", "seed": seed},
            kinds={teacher.name: "classifier" for teacher in run.teachers},
            prices={teacher.name: Price(per_call=0) for teacher in run.teachers},
            simulated=[SIMULATED],
        )
        return write(facts, students["student"], folder)


def _digits(seed: int) -> tuple[Tensor, Tensor]:
    """1,797 images in [0, 1], (N, 8, 8), and their labels (N,), shuffled."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images, labels = bundle.images, bundle.target
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.tensor(images / 16, dtype=torch.float32)[order], torch.tensor(labels, dtype=torch.long)[order]


def _teachers(images: Tensor, labels: Tensor, seed: int) -> list[ModuleTeacher]:
    """Three teachers trained on parts of the labels, and two on exchanged ones."""
    parts = {"careful": slice(0, 600), "hasty": slice(0, 150), "young": slice(450, 600)}
    told = {name: (images[part], labels[part]) for name, part in parts.items()}
    for name, pairs in EXCHANGED.items():
        told[name] = (images, _exchange(labels, pairs))
    return [
        ModuleTeacher(name, _trained(x, y, seed + number), SPACE)
        for number, (name, (x, y)) in enumerate(told.items(), start=1)
    ]


def _exchange(labels: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
    exchanged = labels.clone()
    for one, other in pairs:
        exchanged[labels == one], exchanged[labels == other] = other, one
    return exchanged


def _network(seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def _trained(images: Tensor, labels: Tensor, seed: int) -> nn.Sequential:
    """A teacher: full-batch Adam, a second or so."""
    network = _network(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network

"""A small world for methods that merge specialists: six clusters on a circle, and networks that know some of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.recipe import Train
from distrust.run import Run
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher

NAMES = ("a", "b", "c", "d", "e", "f")
SPACE = LabelSpace(NAMES)
LOOP = Train(num_train_epochs=12, per_device_train_batch_size=16, learning_rate=2e-2)


def clusters(count: int, seed: int, spread: float = 0.45) -> tuple[Items, Tensor]:
    """Points (count, 8) around six places, and their classes (count,)."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 6
    centres = 1.5 * torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    inputs = centres[labels] + 2 * spread * torch.randn(count, 8, generator=draw)
    return Items(tuple(f"{seed}-{row}" for row in range(count)), inputs), labels


ITEMS, LABELS = clusters(240, 5)
TEST, TEST_LABELS = clusters(300, 6)


def network(classes: int, seed: int, dropout: float = 0.2) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, classes))


@cache
def trained(names: tuple[str, ...], seed: int = 0, dropout: float = 0.2) -> nn.Sequential:
    """A network that has learned some classes, in the order of the names, from items of its own."""
    items, labels = clusters(240, 7)
    assert isinstance(items.inputs, Tensor)
    places = torch.tensor([names.index(NAMES[label]) if NAMES[label] in names else -1 for label in labels.tolist()])
    own = places >= 0
    net = network(len(names), seed, dropout)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        for _ in range(60):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(items.inputs[own]), places[own]).backward()
            optimiser.step()
    return net.eval()


def teacher(names: Sequence[str], dropout: float = 0.2, **more: Any) -> ModuleTeacher:
    return ModuleTeacher("knows " + "".join(names), trained(tuple(names), 0, dropout), LabelSpace(tuple(names)), **more)


def work(folder: Path, *parts: str, gold: int | Gold = 0, **changes: Any) -> Run:
    """A run over the clusters: a specialist for each of `parts`, words of the classes it knows; gold for some items."""
    settings: dict[str, Any] = {
        "space": SPACE,
        "pool": ITEMS,
        "teachers": [teacher(part) for part in parts],
        "new_student": lambda seed: ModuleStudent(network(6, 100 + seed, 0.0), SPACE),
        "gold": gold if isinstance(gold, Gold) else Gold(ITEMS.ids[:gold], LABELS[:gold], SPACE),
        "options": LOOP,
    }
    return Run(folder, **(settings | changes))

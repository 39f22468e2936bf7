"""Small worlds of several teachers: pictures of 4 x 4, networks with maps and vectors, teachers that exchange classes."""

from __future__ import annotations

from collections.abc import Sequence
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

SPACE = LabelSpace(("a", "b", "c"))
SWAP = (1, 0, 2)  # a for b and b for a


def pictures(count: int = 48, seed: int = 0) -> tuple[Items, Tensor]:
    """One bright row a class, and noise: (count, 1, 4, 4) and labels (count,)."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    inputs = 0.7 * torch.randn(count, 1, 4, 4, generator=draw)
    inputs[torch.arange(count), 0, labels] += 1.5
    return Items(tuple(f"p{row}" for row in range(count)), inputs), labels


def network(seed: int, channels: int = 4, size: int = 4) -> nn.Sequential:
    """A network with a map (channels, size, size) at `body` and a vector at `head.2.input`; BatchNorm and dropout in it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(size)
        )
        head = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(channels * size * size, 3))
        made = nn.Sequential()
        made.add_module("body", body)
        made.add_module("head", head)
    return made


def taught(seed: int, labels: Tensor, channels: int = 4, size: int = 4, steps: int = 60) -> nn.Sequential:
    """The same, trained on what it was told of the pictures."""
    made, (items, _) = network(seed, channels, size), pictures(len(labels))
    assert isinstance(items.inputs, Tensor)
    optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(steps):
            optimiser.zero_grad()
            nn.functional.cross_entropy(made(items.inputs), labels).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    made.zero_grad()
    return made


def teacher(name: str, module: nn.Module, feature: str = "body", head: Sequence[str] = ("head",)) -> ModuleTeacher:
    """A module as a teacher that keeps a feature and has a head."""
    return ModuleTeacher(name, module, SPACE, features={"feature": feature}, heads={"feature": list(head)})


def panel(sizes: Sequence[int] = (4, 2, 3), swapped: Sequence[int] = ()) -> list[ModuleTeacher]:
    """Teachers of different sizes, some of which exchange the first two classes."""
    _, labels = pictures()
    return [
        teacher(
            f"t{place}",
            taught(place + 1, torch.tensor(SWAP)[labels] if place in swapped else labels, channels=3 + place, size=size),
        )
        for place, size in enumerate(sizes)
    ]


def student(seed: int) -> ModuleStudent:
    """A student with a map (5, 3, 3) at `body`."""
    return ModuleStudent(network(seed, 5, 3), SPACE)


def run(folder: Path, teachers: Sequence[Any], gold: int | Gold | None = None, **changes: Any) -> Run:
    """A run over the pictures; gold: how many have a person's label, None for all."""
    items, labels = pictures()
    count = gold if isinstance(gold, int) else len(items)
    settings: dict[str, Any] = {
        "pool": items,
        "new_student": student,
        "gold": gold if isinstance(gold, Gold) else Gold(items.ids[:count], labels[:count], SPACE),
        "options": Train(num_train_epochs=2, learning_rate=1e-2),
    }
    return Run(folder, space=SPACE, teachers=teachers, **(settings | changes))

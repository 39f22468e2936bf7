"""What is trained and kept. Each file is one kind of student; all of them encode items and give logits.

A student knows its model and how its users load it. It does not know teachers, targets, losses or the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from distrust import modules  # by its name: the room `students.frozen` would hide a bare `frozen`
from distrust.data import Items
from distrust.evidence import Cost, Dense, Evidence
from distrust.labels import LabelSpace


class Encoded(Protocol):
    """Items as a model reads them, tokenised once; batches are cut from it by row."""

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Model inputs of some rows (n,) long, each tensor with n as its first size unless the model says otherwise."""
        ...


@dataclass(frozen=True)
class Chosen:
    """Some rows of encoded items, as if they were all there is."""

    whole: Encoded
    rows: Tensor  # (n,) long

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Model inputs of some rows (n,) long, counted in the chosen ones."""
        return self.whole.batch(self.rows[rows])


class Student(Protocol):
    """A model over one label space.

    `key` names what it is before training (kind, options, label space, initial weights' seed): with the training set
    and the training options it names what it is after. `reads` names how it turns items into inputs: students of the same
    `reads` share tokenised items.
    """

    key: str
    reads: str
    module: nn.Module
    default_learning_rate: float
    notes: tuple[str, ...]  # what a person should know of it, such as weights that start at random

    @property
    def space(self) -> LabelSpace:
        """The classes. Raises DataError of a student that writes texts."""
        ...

    def encode(self, items: Items) -> Encoded:
        """Tokenise items once."""
        ...

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """Model inputs to logits (n, C)."""
        ...

    def save(self, folder: Path) -> None:
        """Write the student as its users load it, safetensors and plain JSON only."""
        ...


def answer(
    student: Student, items: Items, batch_size: int = 256, name: str = "student", encoded: Encoded | None = None
) -> Evidence:
    """A student's answers are evidence too: claims and logits on some items, free of charge.

    Asked in eval mode and without gradient; every module's mode is as before afterwards. `encoded` are the items as this
    student reads them, where somebody has tokenised them already.
    """
    encoded = student.encode(items) if encoded is None else encoded
    device = modules.device_of(student.module)
    with modules.frozen(student.module):
        parts = [
            student.logits({key: value.to(device) for key, value in encoded.batch(rows).items()}).float().cpu()
            for rows in (torch.split(torch.arange(len(items)), batch_size) if len(items) else ())
        ]
    logits = torch.cat(parts) if parts else torch.zeros(0, len(student.space))
    return Evidence(name, items.ids, student.space, logits.argmax(-1)[None], Dense(logits), cost=Cost.free(len(items)))

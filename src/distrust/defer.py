"""A student that asks back: the items it is unsure of go to a teacher, the others are its own.

Knows a student's and a teacher's evidence. Knows nothing of recipes, money or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError
from distrust.evaluate import final_claims
from distrust.evidence import Evidence, stack
from distrust.labels import LabelSpace

STUDENT = "student"


@dataclass(frozen=True)
class Deferred:
    """Who answers which item, and what.

    `asked` and `answered` say of which items the teacher was asked and gave a usable answer; elsewhere, and where it
    abstained, the claim is the student's.
    """

    claims: Tensor  # (N,) long
    asked: Tensor  # (N,) bool
    answered: Tensor  # (N,) bool, within asked
    teacher: str

    @property
    def by(self) -> list[str]:
        """Who answered, per item: "student" or the teacher's name."""
        return [self.teacher if answered else STUDENT for answered in self.answered.tolist()]


def defer(
    items: Items, space: LabelSpace, probabilities: Tensor, teacher: str, ask: Callable[[Items], Evidence], below: float
) -> Deferred:
    """Ask a teacher about the items of which the student is less sure than `below`, and about no other.

    Args:
        items: N items.
        space: the student's classes.
        probabilities: (N, C) the student's.
        teacher: its name; ask: its `ask`, not called where the student is sure of every item.
        below: a confidence, the largest probability, in [0, 1]; at exactly `below` the student is sure enough.

    Raises:
        DataError: `below` outside [0, 1], or a teacher without a label in common with the student.
    """
    if not 0 <= below <= 1:
        raise DataError(f"The student defers below a confidence of {below}; legal is 0 to 1.")
    confidence, claims = probabilities.max(-1)  # (N,) twice
    asked = confidence < below
    answered = torch.zeros_like(asked)
    rows = asked.nonzero().squeeze(-1)  # (n,)
    if len(rows):
        said = final_claims(stack([ask(items.select(rows))], space))[0]  # (n,)
        claims[rows] = torch.where(said >= 0, said, claims[rows])
        answered[rows] = said >= 0
    return Deferred(claims, asked, answered, teacher)

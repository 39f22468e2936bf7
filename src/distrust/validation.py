"""What a fit is validated on: held-out items, and how far a student is from what a person says of them.

Knows labels and reference texts. Does not know when a fit stops, or who holds the items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from distrust.data import Items
from distrust.evidence import Evidence
from distrust.files import fingerprint
from distrust.losses import cross_entropy
from distrust.students import Student
from distrust.students.causal import writer
from distrust.students.likelihood import likelihood


@dataclass(frozen=True)
class Validation:
    """Items with labels (n,) long, or with reference texts (n,) where answers are open."""

    items: Items
    labels: Tensor
    texts: Sequence[str] | None

    @property
    def key(self) -> str:
        """Fingerprint of what a fit that is validated here depends on."""
        return fingerprint(self.items.key, self.labels, *(self.texts or ()))

    def loss(self, student: Student, ask: Callable[[Items], Evidence]) -> float:
        """Mean cross-entropy of a student: lower is better, and finer than accuracy on a few items."""
        if self.texts is not None:
            return likelihood(writer(student), self.items, self.texts).loss
        logits = ask(self.items).logits
        assert logits is not None, "a student of classes has logits"
        return float(cross_entropy(logits.dense(), self.labels).mean())

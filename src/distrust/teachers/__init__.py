"""Where evidence comes from. Each file is one kind of teacher; all of them answer `ask`.

A teacher knows how to answer and what it cost. It does not know who else is asked, whom to believe, or what is trained.
"""

from __future__ import annotations

from typing import Protocol

from distrust.data import Items
from distrust.evidence import Evidence
from distrust.labels import LabelSpace


class Teacher(Protocol):
    """Anything that answers. `ask` is repeatable and leaves the teacher, the items and the random state as they were."""

    @property
    def name(self) -> str:
        """What the recipe, the ledger and the report call it."""
        ...

    @property
    def space(self) -> LabelSpace:
        """Its own classes, which need not be the task's."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same question could be answered differently (weights, prompt), and with nothing else."""
        ...

    @property
    def keeps_answers(self) -> bool:
        """Whether its answers are durable already (a ledger, a file), so that asking again costs next to nothing."""
        ...

    def ask(self, items: Items) -> Evidence:
        """Answer some items; an item without a usable answer abstains (-1) rather than going missing."""
        ...

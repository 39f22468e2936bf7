"""Where evidence comes from. Each file is one kind of teacher; all of them answer `ask`.

A teacher knows how to answer and what it cost. It does not know who else is asked, whom to believe, or what is trained.
"""

from __future__ import annotations

from typing import Protocol

from distrust.data import Items
from distrust.evidence import Evidence
from distrust.labels import LabelSpace


class Teacher(Protocol):
    """Anything that answers.

    `fingerprint` changes whenever the same question could be answered differently (weights, prompt, sampling), and
    with nothing else (not with concurrency or batch size). `ask` is repeatable and leaves the teacher, the items and
    the global random state as they were.
    """

    name: str
    space: LabelSpace
    fingerprint: str

    def ask(self, items: Items) -> Evidence:
        """Answer some items; an item without a usable answer abstains (-1) rather than going missing."""
        ...

"""Gold: the few labels a person vouches for, and never the same one twice for one purpose.

Knows which item may serve what. A purpose either owns a disjoint part (an item quoted in a prompt never judges), or
shares the rest; `folds` cross-fits it, so that what is fitted on gold can be judged on gold. Knows nothing of teachers.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from distrust.errors import DataError, nearest
from distrust.labels import LabelSpace

PURPOSES = ("prompt", "calibrate", "trust", "train", "stop", "choose", "judge")


@dataclass(frozen=True)
class Part:
    """Some gold items for one purpose."""

    ids: tuple[str, ...]
    labels: Tensor  # (n,) long

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Fold:
    """One turn of cross-fitting: what is learned on `fit` is used on `held` and nowhere else."""

    fit: Part
    held: Part


@dataclass(frozen=True)
class Gold:
    """The gold set.

    Args:
        ids, labels: item ids (n,) and class indices (n,) in `space`.
        space: the task's classes.
        reserve: how many items a purpose owns alone, e.g. ``{"prompt": 8}``; drawn class by class.
        seed: which items those are, and how the rest is folded.

    Raises:
        DataError: a label outside the space, an id twice, an unknown purpose, or more reserved than there is (or
            fewer than none).
    """

    ids: tuple[str, ...]
    labels: Tensor
    space: LabelSpace
    reserve: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if len(set(self.ids)) < len(self.ids):
            raise DataError("A gold item is listed twice; each has one label.")
        if len(self.ids) != len(self.labels):
            raise DataError(f"There are {len(self.ids)} gold ids but {len(self.labels)} labels.")
        if len(self.labels) and not bool(((self.labels >= 0) & (self.labels < len(self.space))).all()):
            raise DataError(f"A gold label is outside the {len(self.space)} classes of the task.")
        for purpose in self.reserve:
            if purpose not in PURPOSES:
                raise DataError(f"{purpose!r} is no purpose of gold; {nearest(purpose, PURPOSES)}.")
            if self.reserve[purpose] < 0:
                raise DataError(f"{self.reserve[purpose]} gold items are reserved for {purpose!r}; legal is 0 or more.")
        if sum(self.reserve.values()) > len(self.ids):
            raise DataError(f"{sum(self.reserve.values())} gold items are reserved but there are only {len(self.ids)}.")

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, purpose: str) -> Part:
        """The items that serve a purpose: its own reserved ones, or all that no purpose reserved."""
        if purpose not in PURPOSES:
            raise DataError(f"{purpose!r} is no purpose of gold; {nearest(purpose, PURPOSES)}.")
        owner = self._owners()
        wanted = purpose if purpose in self.reserve else None
        return self._part([row for row in range(len(self)) if owner.get(row) == wanted])

    def folds(self, purpose: str, k: int = 5) -> list[Fold]:
        """Cross-fitted folds of a purpose's part: every item is held out once. Different purposes fold differently.

        With fewer than 2k items there are fewer folds; with fewer than two items there is none.

        Raises:
            DataError: k below 2, since what is fitted on a fold must have something to be used on.
        """
        if k < 2:
            raise DataError(f"Gold is folded {k} times; legal is 2 or more.")
        part = self.part(purpose)
        count = min(k, len(part) // 2) if len(part) >= 4 else (2 if len(part) >= 2 else 0)
        order = _by_class(part.labels.tolist(), random.Random(f"{self.seed}/{purpose}"))
        held_in = {row: position % count for position, row in enumerate(order)} if count else {}
        return [
            Fold(
                fit=_take(part, [row for row in range(len(part)) if held_in[row] != fold]),
                held=_take(part, [row for row in range(len(part)) if held_in[row] == fold]),
            )
            for fold in range(count)
        ]

    def missing_classes(self) -> list[str]:
        """Names of the classes that no gold item shows."""
        seen = set(self.labels.tolist())
        return [name for index, name in enumerate(self.space.names) if index not in seen]

    def _owners(self) -> dict[int, str]:
        """Who owns which row: a prompt shows every class before any twice, all other purposes are random samples.

        What a prompt leaves leans to frequent classes, the more so the more it takes: keep it small beside the rest.
        """
        rng = random.Random(f"{self.seed}/reserve")
        quoted = _by_class(self.labels.tolist(), rng)[: self.reserve.get("prompt", 0)]
        owner = dict.fromkeys(quoted, "prompt")
        rest = rng.sample([row for row in range(len(self)) if row not in owner], len(self) - len(owner))
        for purpose in PURPOSES[1:]:  # in a fixed order, so that the recipe's order changes nothing
            for row in rest[: self.reserve.get(purpose, 0)]:
                owner[row] = purpose
            rest = rest[self.reserve.get(purpose, 0) :]
        return owner

    def _part(self, rows: Sequence[int]) -> Part:
        return _take(Part(self.ids, self.labels), rows)


def _take(part: Part, rows: Sequence[int]) -> Part:
    return Part(tuple(part.ids[row] for row in rows), part.labels[torch.tensor(list(rows), dtype=torch.long)])


def _by_class(labels: list[int], rng: random.Random) -> list[int]:
    """Rows in an order that shows every class once before any class twice: any prefix is as spread as it can be."""
    rows = list(range(len(labels)))
    rng.shuffle(rows)
    seen: dict[int, int] = {}
    turn = {}
    for row in rows:
        turn[row] = seen[labels[row]] = seen.get(labels[row], -1) + 1
    return sorted(rows, key=lambda row: turn[row])

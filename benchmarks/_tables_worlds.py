"""Label tables with a known truth: who is wrong how, who copies whom, who keeps silent.

Knows generators only, each a function of a seed; 10,000 items, ten even classes, claims (M, N) with -1 for "abstains".
Two worlds follow the figures of published comparisons, in which confusion models and fitted weights fail in turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

ITEMS, CLASSES = 10_000, 10


@dataclass(frozen=True)
class World:
    """One label table and its truth."""

    claims: Tensor  # (M, N) long, -1 abstains
    labels: Tensor  # (N,) long
    classes: int = CLASSES
    known: Tensor | None = None  # (M, C) bool: which classes a teacher knows; None: all


class Draw:
    """The truth of one world, and teachers of it."""

    def __init__(self, seed: int, items: int = ITEMS) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(CLASSES, (items,), generator=self.generator)

    def coin(self, chance: float | Tensor) -> Tensor:
        """True with a chance: (N,) bool."""
        return torch.rand(len(self.labels), generator=self.generator) < chance

    def ordinary(self, accuracy: float | Tensor) -> Tensor:
        """Right with a chance, else any other class alike: (N,)."""
        wrong = torch.randint(1, CLASSES, self.labels.shape, generator=self.generator)
        return torch.where(self.coin(accuracy), self.labels, (self.labels + wrong) % CLASSES)

    def structured(self, said_for: Tensor, share: float) -> Tensor:
        """Says `said_for[c]` for class c in a share of the items, else the truth: (N,). An adversary, or a swapper."""
        return torch.where(self.coin(share), said_for[self.labels], self.labels)

    def copy(self, claims: Tensor, share: float, accuracy: float) -> Tensor:
        """A near-clone: repeats a claim in a share of the items, else answers by itself as an ordinary teacher: (N,)."""
        return torch.where(self.coin(share), claims, self.ordinary(accuracy))

    def world(self, *claims: Tensor, known: Tensor | None = None) -> World:
        """These teachers as a table."""
        return World(torch.stack(claims), self.labels, known=known)


NEXT = (torch.arange(CLASSES) + 1) % CLASSES
SWAPPED = torch.arange(CLASSES) ^ 1  # 0 with 1, 2 with 3, ...
FIRST, LAST = torch.arange(CLASSES) < 5, torch.arange(CLASSES) >= 5


def all_good(seed: int) -> World:
    """Five ordinary teachers, right on 80 to 70 %."""
    draw = Draw(seed)
    return draw.world(*(draw.ordinary(one) for one in (0.8, 0.78, 0.75, 0.73, 0.7)))


def random_noise(seed: int) -> World:
    """Three ordinary teachers and one that claims anything."""
    draw = Draw(seed)
    return draw.world(*(draw.ordinary(one) for one in (0.78, 0.72, 0.66, 1 / CLASSES)))


def swaps_one_of_three(seed: int) -> World:
    """Two ordinary teachers and one that exchanges pairs of classes."""
    draw = Draw(seed)
    return draw.world(draw.ordinary(0.8), draw.ordinary(0.75), draw.structured(SWAPPED, 0.8))


def swaps_two_of_three(seed: int) -> World:
    """One ordinary teacher and two that exchange pairs of classes: the majority is systematically wrong."""
    draw = Draw(seed)
    return draw.world(draw.ordinary(0.8), draw.structured(SWAPPED, 0.8), draw.structured(SWAPPED, 0.75))


def adversary(seed: int) -> World:
    """Four ordinary teachers, and one that says the next class in 80 % of the items and the truth in the others."""
    draw = Draw(seed)
    return draw.world(*(draw.ordinary(one) for one in (0.77, 0.68, 0.6, 0.5)), draw.structured(NEXT, 0.8))


def clones(seed: int) -> World:
    """Two good teachers, and three near-clones of one that is right on 60 %."""
    draw = Draw(seed)
    weak = draw.ordinary(0.6)
    return draw.world(draw.ordinary(0.777), draw.ordinary(0.75), *(draw.copy(weak, 0.9, 0.6) for _ in range(3)))


def different_classes(seed: int) -> World:
    """Two teachers strong on the first five classes and weak on the others, two the other way round."""
    draw = Draw(seed)
    first = torch.where(FIRST, 0.9, 0.35)[draw.labels]
    last = torch.where(LAST, 0.9, 0.35)[draw.labels]
    return draw.world(draw.ordinary(first), draw.ordinary(first - 0.05), draw.ordinary(last), draw.ordinary(last - 0.05))


def specialists(seed: int) -> World:
    """Two ordinary teachers, and two that know five classes each: of other items they claim one they know, or abstain."""
    draw = Draw(seed)
    known = torch.stack([torch.ones(CLASSES, dtype=torch.bool)] * 2 + [FIRST, LAST])
    special = []
    for mine in known[2:]:
        inside = mine.nonzero().squeeze(-1)
        guess = inside[torch.randint(len(inside), draw.labels.shape, generator=draw.generator)]
        right = torch.where(draw.coin(0.85), draw.labels, guess)
        outside = torch.where(draw.coin(0.7), torch.full_like(guess, -1), guess)
        special.append(torch.where(mine[draw.labels], right, outside))
    return draw.world(draw.ordinary(0.7), draw.ordinary(0.6), *special, known=known)


def youtube_spam(seed: int) -> World:
    """Ten real labellers that abstain, on 1,586 comments that are spam or not; the seed changes nothing here."""
    import pyarrow.parquet

    del seed
    table = pyarrow.parquet.read_table(Path(os.environ["DISTRUST_DATA"]) / "youtube_spam_weak" / "train.parquet")
    claims = torch.tensor(table["weak_labels"].to_pylist()).T.contiguous()
    return World(claims, torch.tensor(table["label"].to_pylist()), classes=2)


WORLDS: dict[str, Callable[[int], World]] = {
    "all_good": all_good,
    "random_noise": random_noise,
    "swaps_one_of_three": swaps_one_of_three,
    "swaps_two_of_three": swaps_two_of_three,
    "adversary": adversary,
    "clones": clones,
    "different_classes": different_classes,
    "specialists": specialists,
    "youtube_spam": youtube_spam,
}

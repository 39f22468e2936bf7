"""Chance: drawn for items together, or for each by its id alone. Knows seeds and ids; knows nothing of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import torch
from torch import Tensor


class Draws(Protocol):
    """Draws for N items, each call a fresh one; the global random state is neither read nor changed."""

    def integers(self, low: int, high: int) -> Tensor:
        """(N,) long in [low, high)."""
        ...

    def uniform(self) -> Tensor:
        """(N,) float64 in [0, 1)."""
        ...

    def choice(self, weights: Tensor) -> Tensor:
        """A column each, in proportion to weights (N, C) of which some are above 0: (N,) long."""
        ...


@dataclass(frozen=True)
class Together:
    """By one generator, in the items' order."""

    count: int
    generator: torch.Generator

    def integers(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high, (self.count,), generator=self.generator)

    def uniform(self) -> Tensor:
        return torch.rand(self.count, generator=self.generator, dtype=torch.float64)

    def choice(self, weights: Tensor) -> Tensor:
        if not self.count:
            return torch.zeros(0, dtype=torch.long)
        return torch.multinomial(weights, 1, generator=self.generator).squeeze(-1)


@dataclass
class ByItem:
    """By a seed and the item's id: what is drawn for an item is the same whichever items it is drawn beside.

    Args:
        ids: of the items, (N,).
        seed: of all draws.
    """

    ids: Sequence[str]
    seed: int
    _turn: int = field(default=0, init=False, repr=False)

    def integers(self, low: int, high: int) -> Tensor:
        return low + (self.uniform() * (high - low)).long()

    def uniform(self) -> Tensor:
        self._turn += 1
        digests = (
            blake2b(f"{self.seed}/{self._turn}/{one}".encode(errors="surrogatepass"), digest_size=6).digest()
            for one in self.ids
        )
        return torch.tensor([int.from_bytes(one, "big") / 2**48 for one in digests], dtype=torch.float64)

    def choice(self, weights: Tensor) -> Tensor:
        reached = weights.double().cumsum(-1)  # (N, C)
        return (reached > self.uniform().unsqueeze(-1) * reached[:, -1:]).long().argmax(-1)

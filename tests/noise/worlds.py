"""Teachers whose mistakes are known, and what a student makes of their claims: no text, no training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.workshop import pairwise, symmetric


@dataclass(frozen=True)
class World:
    """Claims, truth, and a student's probabilities of the *claim*, as out-of-fold students give them."""

    claims: Tensor  # (N,)
    truth: Tensor  # (N,)
    chances: Tensor  # (N, C)

    @property
    def rate(self) -> float:
        return float((self.claims != self.truth).double().mean())


def seen(truth: Tensor, said: Tensor, classes: int, seed: int, blunt: float = 0.3) -> Tensor:
    """A student that learned P(said | true) (C, C) of texts whose class it mistakes now and then: (N, C)."""
    draw = torch.Generator().manual_seed(seed)
    looks = torch.nn.functional.one_hot(truth, classes) * (1 - blunt)
    looks = looks + blunt * torch.rand(len(truth), classes, generator=draw).double() * 2 / classes
    looks = looks / looks.sum(-1, keepdim=True)
    return looks @ said


def noisy(kind: str, rate: float, seed: int = 0, items: int = 2000, classes: int = 5) -> World:
    """Symmetric or pairwise noise, or a systematic teacher that always says 1 for 0: a student learns it as the truth."""
    truth = torch.randint(classes, (items,), generator=torch.Generator().manual_seed(seed))
    own = torch.eye(classes, dtype=torch.double)
    if kind == "systematic":
        said = own.clone()
        said[0] = own[1]
        claims = torch.where(truth == 0, 1, truth)
    elif kind == "symmetric":
        said = (1 - rate) * own + rate / (classes - 1) * (1 - own)
        claims = symmetric(truth, classes, rate, seed + 1)
    else:
        said = (1 - rate) * own + rate * own.roll(1, 1)
        claims = pairwise(truth, classes, rate, seed + 1)
    return World(claims, truth, seen(truth, said, classes, seed + 2))


def gold(world: World, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows drawn at random and their labels, (n,) each."""
    rows = torch.randperm(len(world.claims), generator=torch.Generator().manual_seed(seed))[:count]
    return rows, world.truth[rows]

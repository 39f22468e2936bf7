"""Distributions and divergences by loops over plain numbers, and logits to try them on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

F64 = torch.float64
Rows = list[float]


def softmax(row: Rows, temperature: float = 1.0) -> Rows:
    exps = [math.exp((one - max(row)) / temperature) for one in row]
    return [one / sum(exps) for one in exps]


def kl(first: Rows, second: Rows) -> float:
    return sum(p * math.log(p / q) for p, q in zip(first, second, strict=True) if p > 0)


def mix(share: float, first: Rows, second: Rows) -> Rows:
    return [share * p + (1 - share) * q for p, q in zip(first, second, strict=True)]


def between(share: float, first: Rows, second: Rows) -> Rows:
    """Between the logits of two distributions."""
    return softmax([share * math.log(p) + (1 - share) * math.log(q) for p, q in zip(first, second, strict=True)])


def naive_akl(p: Rows, q: Rows, head: float) -> float:
    order = sorted(range(len(p)), key=lambda c: -p[c])
    mass, inside, outside = 0.0, 0.0, 0.0
    for place, c in enumerate(order):
        mass += p[c]
        if place == 0 or mass <= head:
            inside += abs(p[c] - q[c])
        else:
            outside += abs(p[c] - q[c])
    share = inside / (inside + outside)
    return share * kl(p, q) + (1 - share) * kl(q, p)


def pair(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=F64), torch.randn(*shape, generator=draw, dtype=F64)

"""Small label tables for tests of trust estimators."""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.trust import Table


def table(
    teachers: int = 4, items: int = 60, classes: int = 3, gold: int = 20, seed: int = 0, silent: float = 0.2
) -> tuple[Table, Tensor]:
    """Teachers right on 75 to 45 %, who abstain now and then, and the truth (N,)."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (items,), generator=draw)
    rows = []
    for teacher in range(teachers):
        other = (labels + torch.randint(1, classes, (items,), generator=draw)) % classes
        said = torch.where(torch.rand(items, generator=draw) < 0.75 - 0.1 * teacher, labels, other)
        rows.append(torch.where(torch.rand(items, generator=draw) < silent, -1, said))
    picked = torch.randperm(items, generator=draw)[:gold]
    return Table(torch.stack(rows), classes, picked, labels[picked]), labels

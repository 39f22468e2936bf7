"""Scouts: two students, each asked whose classes the items are in that the other one learned from.

A student of the pool sees what no specialist does: that items alike in words belong to one of them. Knows specialists, runs
and halves. Does not know what becomes of the answer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.methods.specialists import Specialists, told
from distrust.processes import mix
from distrust.run import Run

LEAST = 1e-6  # of a chance, so that a scout alone rules nobody out


def scouted(run: Run, here: Specialists, targets: Tensor) -> Tensor:
    """Log-chances that an item is in each teacher's classes: (M, N), by a scout that has not seen it.

    Args:
        targets: (N, C) what the scouts are told, beside gold where gold serves training.
    """
    training = told(run, here, targets, 1.0)
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(mix(run.seed, 3)))
    one, two = order.chunk(2) if len(order) > 1 else (order, order)
    mass = torch.zeros(len(here.members), len(training))
    for name, own, other in (("a", one, two), ("b", two, one)):
        scout = run.fit(f"scout-{name}", training.select(own))
        mass[:, other] = here.known.float() @ run.ask(scout, here.items.select(other)).distribution().T
    return mass.clamp(min=LEAST).log()

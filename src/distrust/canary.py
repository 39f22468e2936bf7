"""Canary gold: a few gold items hidden among the bought ones, so that a teacher that changed or broke pauses the spending.

Knows whether a teacher was right about hidden gold, one item after another, and how often it used to be. Does not know what
was asked, or who pauses.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from distrust.errors import DataError

BETS = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the most that can be bet against the level without losing all


def hidden(bought: Sequence[str], canaries: Sequence[str], seed: int = 0) -> list[str]:
    """Ids to ask about, gold ones at random places among the others; each list keeps its own order.

    Raises:
        DataError: an id in both: gold that is bought anyway is no canary.
    """
    both = set(bought) & set(canaries)
    if both:
        raise DataError(f"The item {min(both)!r} is bought and a canary; an item is one of both.")
    where = set(random.Random(seed).sample(range(len(bought) + len(canaries)), len(canaries)))
    plain, gold = iter(bought), iter(canaries)
    return [next(gold) if place in where else next(plain) for place in range(len(bought) + len(canaries))]


def evidence_of_change(right: Tensor, level: float) -> Tensor:
    """How much speaks against "still right at least `level` of the time", after each canary: (..., T) to (..., T).

    A fair bet's gain: whatever one does, and whenever one stops, a teacher at the level or above reaches 1 / α with a chance
    of α at most. Bets begin anew at every canary, so that a long good record hides no fall; the fall's own time need not be
    known.

    Args:
        right: (..., T) 1 where the teacher was right about the canary, else 0, in the order asked; any leading dimensions.
        level: the share that it is held to, above 0 and below 1: the low end of `evaluate.wilson` on earlier gold, so that
            the luck of a few gold is no level.

    Raises:
        DataError: a level that is no share.

    Source: Waudby-Smith and Ramdas 2024 (betting), mixed over bets and, with weights 1 / (t (t + 1)), over starts.
    """
    if not 0 < level < 1:
        raise DataError(f"A teacher is held to a level of {level}; legal is above 0 and below 1.")
    bets = torch.tensor(BETS, dtype=torch.float64) / (1 - level)  # (K,)
    wealth = torch.zeros(*right.shape[:-1], len(BETS), dtype=torch.float64)  # of the bets begun so far
    path = []
    for turn, outcome in enumerate(right.double().cpu().unbind(-1), start=1):
        wealth = (wealth + 1 / (turn * (turn + 1))) * (1 + bets * (level - outcome.unsqueeze(-1)))
        path.append(wealth.mean(-1) + 1 / (turn + 1))  # what is not bet yet
    return torch.stack(path, -1) if path else torch.ones(right.shape, dtype=torch.float64)


def alarm(right: Tensor, level: float, alpha: float = 0.05) -> int | None:
    """After how many canaries (T,) the teacher is known to have fallen below the level; None: not yet.

    Args: as `evidence_of_change`; alpha: chance of ever pausing a teacher that has not, in (0, 1).

    Raises:
        DataError: an alpha or a level that is no share.
    """
    if not 0 < alpha < 1:
        raise DataError(f"alpha is {alpha}; legal is above 0 and below 1.")
    reached = (evidence_of_change(right, level) >= 1 / alpha).nonzero()
    return int(reached[0]) + 1 if len(reached) else None

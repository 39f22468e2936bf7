"""How much to believe each teacher on each item, from how sure it says it is: the more entropy, the less.

Knows logits of several teachers, -inf at classes that a teacher does not know. Needs no label, and so cannot tell a teacher
that is sure and right from one that is sure and wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.trust.distribution import entropy
from distrust.trust.label_weights import shared, speaking


def entropy_weights(logits: Tensor, answered: Tensor | None = None) -> Tensor:
    """(1 - H / Σ H) / (M - 1): weights (M, *items), summing to one over the M that answered; one alone gets 1.

    Finite at saturated logits, with its gradient; teachers that are all certain share evenly. Source: EBKD (Kwon et al.,
    ICASSP 2020), scaled to sum to one.

    Args:
        logits: (M, *items, C), -inf at classes that a teacher does not know; temperature 1.
        answered: (M, *items) bool; None: wherever a teacher knows any class.

    Raises:
        DataError: a mask of another shape.
    """
    speaks = speaking(logits, answered)
    unsure = entropy(logits.masked_fill(~speaks.unsqueeze(-1), 0.0).softmax(-1))
    return entropy_shares(unsure, speaks.to(unsure.dtype))


def entropy_shares(unsure: Tensor, heard: Tensor) -> Tensor:
    """`entropy_weights` of entropies: (M, *items), and who is heard, 1 or 0, (M, *items), to weights (M, *items)."""
    unsure = unsure * heard
    total = unsure.sum(0)
    return shared(1 - unsure / torch.where(total > 0, total, 1.0), heard)

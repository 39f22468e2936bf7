"""Trust read off claims alone: who says the same.

Knows votes of several sources, or of several samples of one, and honours abstentions: they are nobody's agreement.
Knows nothing of probabilities. Sources that copy each other agree without being right.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.evidence import votes


def agreement(claims: Tensor, classes: int) -> Tensor:
    """For each voter's claim, the share of the *other* voters who made it too: (V, *items) to (V, *items).

    Args:
        claims: (V, *items) long, V teachers or samples; -1 abstains.
        classes: C.

    Returns:
        In [0, 1]; 0 where the voter abstained or nobody else voted (no support is no trust).
    """
    counts = votes(claims, classes)  # (*items, C)
    expanded = counts.unsqueeze(0).expand(claims.shape[0], *counts.shape)
    same = expanded.gather(-1, claims.clamp(min=0).unsqueeze(-1)).squeeze(-1) - 1  # (V, *items)
    others = counts.sum(-1) - 1  # (*items)
    share = same / others.clamp(min=1)
    return torch.where((claims >= 0) & (others > 0), share, torch.zeros_like(share))


def self_agreement(claims: Tensor, classes: int) -> Tensor:
    """Share of a source's samples that make its most frequent claim: (S, *items) to (*items), abstentions counted.

    1 when all samples agree, 1/S when all differ; an abstention agrees with nothing, 0 when all abstain.
    Source: self-consistency, Wang et al. 2022 (TA-in-the-loop card, equation A1).
    """
    return votes(claims, classes).amax(-1) / max(claims.shape[0], 1)

"""Trust read off gold: how much probability a source gives to what is known to be right.

Knows logits or probabilities and gold labels on the same items. Does not know how a source does elsewhere, and is
blind to a source that has memorised these very items: give it held-out ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with gold in nats at temperature 1, a measure: lower is better.

    Args:
        logits: (..., *items, C), any number of leading source dimensions; -inf at classes a source does not know.
        labels: (*items) long, -1 where there is no gold: the measure is NaN there, never 0.

    Returns:
        (..., *items), at least 0; +inf where the source does not know the gold class.

    Raises:
        DataError: labels whose shape is not that of the items.

    Source: CA-MKD, equation 1.
    """
    if logits.shape[:-1][max(logits.dim() - 1 - labels.dim(), 0) :] != labels.shape:
        raise DataError(f"Gold labels {tuple(labels.shape)} do not fit logits {tuple(logits.shape)}; legal is (items,).")
    index = labels.clamp(min=0).expand(logits.shape[:-1]).unsqueeze(-1)
    picked = logits.log_softmax(-1).gather(-1, index).squeeze(-1)
    return torch.where(labels >= 0, -picked, torch.full_like(picked, torch.nan))


def likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """Probability given to the gold class, a trust: exp of minus `cross_entropy`, in [0, 1]; NaN without gold.

    Arguments, shape and what is raised as for `cross_entropy`.
    """
    return (-cross_entropy(logits, labels)).exp()

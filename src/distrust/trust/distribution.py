"""Trust read off a source's own distribution: how sure it says it is.

Knows probabilities over classes. Does not know whether the source is right: a confident source can be wrong, so
compare these with gold (`distrust.evaluate`) before acting on them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def confidence(probabilities: Tensor) -> Tensor:
    """Probability of the top class: (..., C) to (...), in [0, 1]; 0 where the row is empty (nothing was said)."""
    return probabilities.amax(-1)


def margin(probabilities: Tensor) -> Tensor:
    """Gap between the two most probable classes: (..., C) to (...), in [0, 1]; with one class, its probability.

    Source: Scheffer et al. 2001, active hidden Markov models (margin sampling).
    """
    if probabilities.shape[-1] == 1:
        return probabilities[..., 0]
    top = probabilities.topk(2, dim=-1).values  # (..., 2)
    return top[..., 0] - top[..., 1]


def entropy(probabilities: Tensor) -> Tensor:
    """Shannon entropy in nats, a measure: (..., C) to (...), in [0, log C]; finite at saturated rows (0 log 0 = 0).

    Its gradient is finite too: a zero probability contributes none.
    """
    said = probabilities != 0  # a NaN stays one
    safe = torch.where(said, probabilities, torch.ones_like(probabilities))
    return -(safe * safe.log() * said).sum(-1)


def certainty(probabilities: Tensor, known: Tensor | None = None) -> Tensor:
    """One minus normalised entropy, a trust: (..., C) to (...), in [0, 1]; 0 where the row is empty.

    Args:
        probabilities: (..., C).
        known: (..., C) bool broadcastable, the classes the source knows; it normalises by log of their count, and a
            source that knows one class is certain (MUKA card, trap 6).

    Source: MUKA, equation 4 (s = 1 - H / log C_i).
    """
    classes = probabilities.shape[-1] if known is None else known.sum(-1)
    count = torch.as_tensor(classes, dtype=probabilities.dtype, device=probabilities.device)
    scale = count.log().clamp(min=math.log(2) / 2)  # one known class: entropy is 0, any positive scale will do
    said = probabilities.sum(-1) > 0
    sure = (1 - entropy(probabilities) / scale).clamp(min=0)  # a uniform row may round to just below 0
    return torch.where(said, sure, torch.zeros_like(scale))

"""How likely a side finds given tokens, and how unsure it is, from hidden states and head; without gradient.

Knows logits of a few tokens at a time. Knows nothing of who is believed for it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from distrust.losses.chunks import Projected

CHUNK = 256  # tokens whose logits are held at once


def surprise(side: Projected, labels: Tensor, counted: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Cross-entropy with labels and entropy, in nats: (*items) twice, 0 where a position does not count.

    Args:
        side: hidden states (*items, d) and head.
        labels: (*items) long; counted: (*items) bool; vocabulary: how many of the head's rows are classes.
    """
    found = torch.zeros(2, *labels.shape, dtype=torch.float32, device=labels.device)
    told = labels[counted]
    with torch.no_grad():
        rows = torch.split(side.hidden[counted], CHUNK)
        said = [
            measured(logits(Projected(some, side.weight, side.bias, side.softcap), vocabulary), own)
            for some, own in zip(rows, torch.split(told, CHUNK), strict=True)
        ]
        found[:, counted] = torch.cat(said, -1) if said else found[:, counted]
    return found[0], found[1]


def measured(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with labels (n,) and entropy of logits (n, V): (2, n)."""
    log_p = logits.log_softmax(-1)
    return torch.stack([-log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1), torch.special.entr(log_p.exp()).sum(-1)])


def logits(side: Projected, vocabulary: int) -> Tensor:
    """What a side's hidden states (n, d) stand for: (n, V), in single precision, without what pads its head."""
    made = linear(side.hidden, side.weight, side.bias).float()[:, :vocabulary]
    return made if side.softcap is None else side.softcap * torch.tanh(made / side.softcap)

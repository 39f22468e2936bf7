"""How likely a causal student finds given completions.

Knows prompts and completions. Does not know who wrote them, or whether they are believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from distrust.data import Items
from distrust.modules import device_of, frozen
from distrust.students.causal import CausalStudent
from distrust.students.completions import IGNORED


@dataclass(frozen=True)
class Likelihood:
    """Of one completion an item."""

    logp: Tensor  # (B,) sum over tokens of log p(token | prompt, tokens before), in nats; the end token counts
    tokens: Tensor  # (B,) long, how many

    @property
    def per_token(self) -> Tensor:
        """exp(mean log-probability): (B,) in [0, 1], the length-normalised likelihood."""
        return (self.logp / self.tokens).exp()

    @property
    def loss(self) -> float:
        """Nats a token, over all tokens together."""
        return -float(self.logp.sum() / self.tokens.sum().clamp(min=1))


def likelihood(student: CausalStudent, items: Items, completions: Sequence[str], rows: int = 64) -> Likelihood:
    """Score a completion of each item (B), without sampling, in eval mode and without gradient; modes are as before."""
    encoded, device = student.encode_told(items, completions), device_of(student.module)
    logp = torch.zeros(len(items), dtype=torch.float64)
    order = encoded.completions.lengths.argsort(stable=True)
    with frozen(student.module):
        for chosen in torch.split(order, rows) if len(order) else ():
            inputs = {name: value.to(device) for name, value in encoded.batch(chosen).items()}
            logits = student.logits(inputs).float().transpose(1, 2)  # (n, V, T)
            loss = cross_entropy(logits, inputs["labels"], ignore_index=IGNORED, reduction="none")  # (n, T)
            logp[chosen] = -loss.double().sum(-1).cpu()
    return Likelihood(logp, encoded.completions.lengths.clone())

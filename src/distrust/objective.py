"""The objective: named loss terms, each unreduced, reduced once, here.

Knows how terms are weighed against each other and items against items. Knows nothing of what a term computes, of
optimisers or of loops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Loss = Callable[[Tensor, Batch], Tensor]  # student logits (*items, C) and a batch, to (*items,)


@dataclass(frozen=True)
class Term:
    """One named part of an objective."""

    loss: Loss
    weight: float = 1.0


@dataclass(frozen=True)
class Objective:
    """Terms to one scalar and the parts it is made of.

    Args:
        terms: by name, each mapping (logits, batch) to (*items,).
        modules: trainable parts of the terms (projections, adapters): optimised, saved and resumed with the student.
        taps: by name, what of the student the terms read: a path of distrust.taps. The batch holds it as ``taps.NAME``,
            with its gradient.
        frozen: modules that the terms read and nobody trains (teachers' heads): on the student's device, part of the key.

    A batch of the loop carries what a training set tells (``targets``, ``labels``, its ``extra``), each item's ``row`` in it
    and the fit's ``progress`` (), the share of steps done. It may carry ``weight`` (*items): an item counts that much, 0
    leaves it out exactly as if it were absent, and ``count`` (): the number to divide by, when a step is larger than this
    batch (accumulation, several processes). Without it the divisor is the sum of this batch's weights.
    """

    terms: Mapping[str, Term]
    modules: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    taps: Mapping[str, str] = field(default_factory=dict)
    frozen: nn.ModuleDict = field(default_factory=nn.ModuleDict)

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the scalar to minimise and each term's own mean, detached, still on its device."""
        weight = batch.get("weight")
        total: Tensor | None = None
        parts = {}
        for name, term in self.terms.items():
            value = _mean(term.loss(logits, batch), weight, batch.get("count"))
            parts[name] = value.detach()
            scaled = value if term.weight == 1.0 else term.weight * value
            total = scaled if total is None else total + scaled
        assert total is not None, "an objective has at least one term"
        return total, parts


def _mean(values: Tensor, weight: Tensor | None, count: Tensor | None) -> Tensor:
    """Mean over counted items: (*items) to (). An empty batch gives 0 with a gradient of 0, not NaN."""
    if weight is None and count is None:
        return values.mean() if values.numel() else values.sum()
    if weight is None:
        weight = torch.ones_like(values)
    kept = torch.where(weight > 0, values, torch.zeros_like(values))  # 0 · inf would be NaN
    divisor = weight.sum() if count is None else count
    return (kept * weight).sum() / torch.where(divisor > 0, divisor, 1)

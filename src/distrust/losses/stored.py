"""Losses towards what a store can hold of a teacher: its k likeliest classes with the mass of the rest, or draws from it.

Knows logits (*items, C) of the student and (*items, k) of the teacher. Knows nothing of stores, files or who was asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.logits import TopK
from distrust.losses.divergence import check_temperature, kl

SMALLEST_TAIL = 1e-6  # a tail at most this large is what rounding left of none


@dataclass(frozen=True)
class Sampled:
    """Classes drawn from a teacher with their shares of the draws: an unbiased picture of its distribution."""

    ids: Tensor  # (*items, k) long; a class may stand twice
    weights: Tensor  # (*items, k), summing to one; a row of 0 says nothing
    classes: int

    def select(self, rows: Tensor) -> Sampled:
        """The same of some items: rows (n,) long."""
        return Sampled(self.ids[rows], self.weights[rows], self.classes)


def topk_kl(logits: Tensor, target: TopK, temperature: float = 1.0) -> Tensor:
    """T² · KL over k + 1 events: the teacher's k likeliest classes, and "any other".

    Never above the forward KL to the whole distribution, and equal to it where the student spreads the rest as the teacher
    does. Nothing is invented about the tail, unless T softens it: then it is taken as spread evenly, as `TopK.dense` has it.
    A row of -inf says nothing: its loss is 0.

    Args:
        logits: (*items, C) of the student; target: top k (*items, k) and tail (*items,), over C classes; temperature: T > 0.

    Raises:
        DataError: sizes that do not fit.
    """
    _check(logits, target.ids, target.classes)
    check_temperature(temperature)
    kept = target.ids.shape[-1]
    silent = (target.logp == -torch.inf).all(-1)
    rest = max(target.classes - kept, 1)
    tail = target.tail.clamp(min=0)
    tail = tail.masked_fill(tail <= SMALLEST_TAIL, 0).unsqueeze(-1)
    softened = (tail / rest).log() / temperature + math.log(rest)
    said = torch.cat([target.logp / temperature, softened], -1).masked_fill(silent.unsqueeze(-1), 0).log_softmax(-1)
    log_q = (logits / temperature).log_softmax(-1)
    others = log_q.scatter(-1, target.ids, -torch.inf)
    nothing = (others == -torch.inf).all(-1, keepdim=True)
    other = torch.where(nothing, -torch.inf, torch.where(nothing, 0.0, others).logsumexp(-1, keepdim=True))
    heard = torch.cat([log_q.gather(-1, target.ids), other], -1)
    return temperature**2 * kl(said, heard).masked_fill(silent, 0)


def sampled(logits: Tensor, draws: int, generator: torch.Generator | None = None) -> Sampled:
    """Draw classes from a teacher: each of (*items) rows gets `draws`, of weight 1 / draws each.

    The expectation of the target is the teacher's distribution, so that of the gradient is forward KL's: what the top k
    alone lacks. A row of -inf gets weight 0.

    Raises:
        DataError: fewer than one draw.

    Source: Anshumann et al. 2025 (RS-KD, arXiv 2503.16870), random sampling with its proposal at temperature 1.
    """
    if draws < 1:
        raise DataError(f"draws is {draws}; legal is 1 or more.")
    silent = (logits == -torch.inf).all(-1, keepdim=True)
    said = logits.masked_fill(silent, 0).float().softmax(-1).reshape(-1, logits.shape[-1])
    ids = torch.multinomial(said, draws, replacement=True, generator=generator).reshape(*logits.shape[:-1], draws)
    weights = (~silent).to(logits.dtype).expand(ids.shape) / draws
    return Sampled(ids, weights, logits.shape[-1])


def sampled_cross_entropy(logits: Tensor, target: Sampled, temperature: float = 1.0) -> Tensor:
    """-Σ_i w_i · log q(id_i): (*items, C) to (*items,). Its expectation is the teacher's entropy above the forward KL.

    temperature: 1 alone, since draws at temperature 1 are no unbiased picture of a softened teacher.

    Raises:
        DataError: sizes that do not fit, or another temperature.

    Source: as `sampled`.
    """
    _check(logits, target.ids, target.classes)
    if temperature != 1:
        raise DataError(f"temperature is {temperature}; draws from a teacher at temperature 1 are legal for 1 alone.")
    log_q = logits.log_softmax(-1).gather(-1, target.ids)
    return -(target.weights * log_q.masked_fill(target.weights == 0, 0)).sum(-1)


def _check(logits: Tensor, ids: Tensor, classes: int) -> None:
    if ids.shape[:-1] != logits.shape[:-1] or classes != logits.shape[-1]:
        raise DataError(
            f"The target is {tuple(ids.shape)} over {classes} classes but the student's logits are {tuple(logits.shape)}; "
            "legal are (*items, k) and (*items, C) over the same classes."
        )

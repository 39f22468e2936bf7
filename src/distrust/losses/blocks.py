"""A few rows of logits at a time, turned in place into the gradient of a divergence: small enough to stay in a core's cache.

Knows rows (r, C) of logits of student and teachers, and weights. Knows nothing of hidden states, heads or chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distrust.losses.divergence import cross_entropy, forward_kl

Loss = Callable[..., Tensor]  # (*items, C), a target, temperature to (*items,)
Target = Any  # (r, C) logits, or what a store holds of them
ELEMENTS = 2**17  # of a block: three of these stay in the second cache or near, and the calls that fill them hardly show


@dataclass(frozen=True)
class Rows:
    """What is computed of each row; made once a call, used for every block."""

    loss: Loss
    temperature: float
    caps: tuple[float | None, ...]  # of the student's logits and then of each target's
    closed: bool  # logits come divided by the temperature, and the gradient lacks that factor and the weight
    ruled: bool  # logits may be -inf
    alpha: float | None = None  # of a teacher that learns too


def differentiate(rows: Rows, student: Tensor, targets: Sequence[Target], weights: Tensor, spare: Tensor) -> Tensor:
    """Overwrite the student's logits (r, C) by the gradient of Σ_k w_k · loss_k; weights: (M, r). Returns values (M, r).

    spare: (r, C) or more rows, in the precision of values, to write in: new pages cost more than what is done in them.
    """
    if rows.closed:
        work = student.to(_working(student))
        values = _forward_kl(rows, work, [one.to(work.dtype) for one in targets], weights, spare[: len(work)])
        if work is not student:
            student.copy_(work)
        return values
    with torch.enable_grad():
        leaf = student.detach().to(_working(student)).requires_grad_()
        logits = _capped(leaf, rows.caps[0])
        known = [_like(one, leaf, cap) for one, cap in zip(targets, rows.caps[1:], strict=True)]
        values = torch.stack([rows.loss(logits, target, rows.temperature) for target in known])
        (gradient,) = torch.autograd.grad((weights * values).sum(), leaf)
    student.copy_(gradient)
    return values.detach()


def differentiate_both(
    rows: Rows, student: Tensor, teacher: Tensor, labels: Tensor, weights: Tensor, spare: Tensor
) -> tuple[Tensor, Tensor]:
    """Overwrite logits of both (r, C) by gradients of what each learns; labels: (r,), -1 for none. Returns (r,) twice."""
    assert rows.alpha is not None
    if rows.closed:
        work, other = student.to(_working(student)), teacher.to(_working(student))
        values = _both(work, other, labels, rows.alpha, spare[: len(work)], spare[len(work) : 2 * len(work)])
        for given, found in ((student, work), (teacher, other)):
            if found is not given:
                given.copy_(found)
        return values
    with torch.enable_grad():
        leaves = [one.detach().to(_working(student)).requires_grad_() for one in (student, teacher)]
        s, t = (_capped(leaf, cap) for leaf, cap in zip(leaves, rows.caps, strict=True))
        learned = rows.loss(s, t.detach(), rows.temperature)
        followed = rows.alpha * forward_kl(t, s.detach(), rows.temperature) if rows.alpha else torch.zeros_like(learned)
        adapted = followed + (1 - rows.alpha) * cross_entropy(t, labels) if rows.alpha < 1 else followed
        gradients = [
            torch.autograd.grad((weights * value).sum(), leaf)[0]
            for value, leaf in zip((learned, adapted), leaves, strict=True)
        ]
    for given, gradient in zip((student, teacher), gradients, strict=True):
        given.copy_(gradient)
    return learned.detach(), adapted.detach()


def _forward_kl(rows: Rows, s: Tensor, teachers: Sequence[Tensor], weights: Tensor, spare: Tensor) -> Tensor:
    """s becomes q - p for one teacher, Σ w_k (q - p_k) for several; teachers become their probabilities. Returns (M, r)."""
    largest, found = s.amax(-1), []
    for t in teachers:
        torch.sub(t, s, out=spare)
        norm = _soften(t)
        if rows.ruled:
            spare.masked_fill_(t == 0, 0)  # -inf - -inf
        found.append(spare.mul_(t).sum(-1) - norm)
    values = torch.stack(found) + _soften(s, largest)
    if len(teachers) == 1:
        s.sub_(teachers[0])
    else:
        s.mul_(weights.sum(0).unsqueeze(-1))
        for t, weight in zip(teachers, weights, strict=True):
            s.addcmul_(t, weight.unsqueeze(-1), value=-1)
    return rows.temperature**2 * values


def _both(s: Tensor, t: Tensor, labels: Tensor, alpha: float, apart: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
    """s becomes g = q - p and t becomes -alpha · g + (1 - alpha)(p - onehot): OKD card, gradients at the logits."""
    place = labels.clamp(min=0).unsqueeze(-1)
    share = ((labels >= 0).to(t.dtype) * (1 - alpha)).unsqueeze(-1)  # (r, 1)
    said = t.gather(-1, place).squeeze(-1)
    torch.sub(t, s, out=apart)
    norm_t, norm_s = _soften(t), _soften(s)
    learned = torch.mul(apart, t, out=spare).sum(-1) - norm_t + norm_s
    followed = norm_t - norm_s - apart.mul_(s).sum(-1)
    s.sub_(t)
    t.mul_(share).sub_(s, alpha=alpha).scatter_add_(-1, place, -share)
    return learned, alpha * followed + share.squeeze(-1) * (norm_t - said)


def _soften(z: Tensor, largest: Tensor | None = None) -> Tensor:
    """Logits (r, C) to probabilities in place; returns log Σ exp z, (r,), from the largest probability."""
    largest = z.amax(-1) if largest is None else largest
    torch.softmax(z, -1, out=z)
    return largest - z.amax(-1).log()


def _working(student: Tensor) -> torch.dtype:
    return student.dtype if student.dtype in (torch.float32, torch.float64) else torch.float32


def _capped(logits: Tensor, cap: float | None) -> Tensor:
    return logits if cap is None else cap * (logits / cap).tanh()


def _like(target: Target, leaf: Tensor, cap: float | None) -> Target:
    return _capped(target.to(leaf.dtype), cap) if isinstance(target, Tensor) else target

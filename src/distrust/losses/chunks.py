"""Divergences from hidden states and heads, a chunk of tokens at a time, with the gradients formed in the forward.

Knows hidden states (n, d), heads (C, d) and what `blocks` makes of logits; holds logits of one chunk of each side, never
(n, C). Knows nothing of masks, several dimensions of items, or what the divergence is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.logits import TopK
from distrust.losses.blocks import ELEMENTS, Rows, differentiate, differentiate_both
from distrust.losses.stored import Sampled


@dataclass(frozen=True)
class Projected:
    """Logits that nobody wrote down: hidden states and the head that would make them, cap · tanh(logits / cap) if capped."""

    hidden: Tensor  # (*items, d)
    weight: Tensor  # (C, d)
    bias: Tensor | None = None  # (C,)
    softcap: float | None = None  # above 0

    def write(self, rows: slice, scale: float, out: Tensor) -> Tensor:
        """Logits of n rows, times scale and before the cap, into the first rows of `out` (n or more, C): (n, C)."""
        hidden = self.hidden[rows] if scale == 1 else self.hidden[rows] * scale
        out = out[: len(hidden)]
        if self.bias is None:
            return torch.mm(hidden, self.weight.T, out=out)
        return torch.addmm(self.bias if scale == 1 else self.bias * scale, hidden, self.weight.T, out=out)


Given = Projected | TopK | Sampled


@dataclass(frozen=True)
class Plan:
    """Everything but the tensors that may want a gradient. All are detached."""

    rows: Rows
    targets: Sequence[Given]  # M
    dense: bool  # targets that are stored are spread over all classes, a block at a time
    weights: Tensor  # (M, n)
    factor: float | Tensor  # what is left to multiply gradients with: temperature where `closed`, by count
    count: float | Tensor
    chunk: int
    labels: Tensor | None = None  # (n,), where the teacher learns too


class Chunked(torch.autograd.Function):
    """plan, hidden (n, d), weight, bias, the teacher's hidden or None; to two sums (), values (M, n), the teacher's (n,)."""

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, hidden: Tensor, weight: Tensor, bias: Tensor | None, other: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        student = Projected(hidden, weight, bias)
        with torch.autocast(hidden.device.type, enabled=False):
            values, taught, ctx.gradients = _forward(plan, student, ctx.needs_input_grad[1:])
        ctx.factor = plan.factor
        ctx.mark_non_differentiable(values, taught)
        return _total(plan, values, plan.weights), _total(plan, taught, plan.weights[0]), values, taught

    @staticmethod
    def backward(ctx: Any, total: Tensor | None, taught: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise DataError(
                "losses.linear forms its gradients in the forward, so they have none of their own (create_graph=True); "
                "legal is one backward, and for a second derivative a loss of losses on whole logits."
            )
        found: list[Tensor | None] = [None]
        for upstream, places in ((total, (0, 1, 2)), (taught, (3,))):
            for place in places:
                gradient = ctx.gradients[place]
                if gradient is None or upstream is None:
                    found.append(None)
                    continue
                if gradient is _SPENT:
                    raise DataError(
                        "losses.linear was asked for its gradients a second time; legal is one backward for each loss."
                    )
                ctx.gradients[place] = _SPENT  # multiplied in place: there is no second copy to give
                found.append(gradient.mul_(upstream * ctx.factor))
        return tuple(found)


_SPENT = torch.empty(0)


def _forward(plan: Plan, student: Projected, wanted: Sequence[bool]) -> tuple[Tensor, Tensor, list[Tensor | None]]:
    """Values (M, n), the teacher's own (n,) and gradients of hidden, weight, bias and the teacher's hidden, unscaled."""
    hidden, weight, rows = student.hidden, student.weight, plan.rows
    count, classes, chunk = len(hidden), len(weight), min(plan.chunk, max(len(hidden), 1))
    scale = 1 / rows.temperature if rows.closed else 1.0
    exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    values = hidden.new_empty(plan.weights.shape, dtype=exact)
    taught = hidden.new_zeros(count, dtype=exact)
    room = [hidden.new_empty(chunk, classes)]
    room += [one.hidden.new_empty(chunk, len(one.weight)) for one in plan.targets if isinstance(one, Projected)]
    gradients = _empty(plan, student, wanted, exact)
    block = min(max(1, ELEMENTS // classes), chunk)
    work = hidden.new_empty(block if plan.labels is None else 2 * block, classes, dtype=exact)
    for start in range(0, count, chunk):
        here = slice(start, min(start + chunk, count))
        spare = iter(room)
        s = student.write(here, scale, next(spare))
        ts = [one.write(here, scale, next(spare)) if isinstance(one, Projected) else None for one in plan.targets]
        for first in range(start, here.stop, block):
            some = slice(first, min(first + block, here.stop))
            inside = slice(some.start - start, some.stop - start)
            weights = plan.weights[:, some]
            if plan.labels is not None:
                assert ts[0] is not None
                values[0, some], taught[some] = differentiate_both(
                    rows, s[inside], ts[0][inside], plan.labels[some], weights[0], work
                )
                continue
            targets = [
                t[inside] if t is not None else _stored(plan, one, some) for one, t in zip(plan.targets, ts, strict=True)
            ]
            values[:, some] = differentiate(rows, s[inside], targets, weights, work)
        weigh = plan.weights[0, here, None].to(hidden.dtype) if rows.closed and len(plan.targets) == 1 else None
        _collect(gradients, here, s, student, weigh)
        if gradients[3] is not None:
            teacher, t = plan.targets[0], ts[0]
            assert isinstance(teacher, Projected) and t is not None
            torch.mm(t, teacher.weight, out=gradients[3][here])
            if weigh is not None:
                gradients[3][here].mul_(weigh)
    for place, like in ((1, weight), (2, student.bias)):
        if gradients[place] is not None and like is not None:
            gradients[place] = gradients[place].to(like.dtype)  # type: ignore[union-attr]
    return values, taught, gradients


def _collect(gradients: list[Tensor | None], here: slice, s: Tensor, student: Projected, weigh: Tensor | None) -> None:
    """Carry a chunk's gradient at the logits (c, C) on to hidden states, head, bias. Weights touch (c, d), never (c, C)."""
    of_hidden, of_weight, of_bias, _ = gradients
    hidden = student.hidden[here] if weigh is None else student.hidden[here] * weigh
    if of_hidden is not None:
        torch.mm(s, student.weight, out=of_hidden[here])
        if weigh is not None:
            of_hidden[here].mul_(weigh)
    if of_weight is not None:
        if of_weight.dtype == s.dtype:
            torch.addmm(of_weight, s.T, hidden, beta=float(here.start > 0), out=of_weight)  # at 0, nothing there is read
        else:
            of_weight.add_(s.T @ hidden)
    if of_bias is not None:
        of_bias.add_((s if weigh is None else s * weigh).sum(0, dtype=of_bias.dtype))


def _empty(plan: Plan, student: Projected, wanted: Sequence[bool], exact: torch.dtype) -> list[Tensor | None]:
    """Where gradients are collected: heads in full precision, since chunks are added up there."""
    sizes: list[Tensor | None] = [student.hidden, student.weight, student.bias]
    teacher = plan.targets[0]
    sizes.append(teacher.hidden if isinstance(teacher, Projected) and plan.labels is not None else None)
    found: list[Tensor | None] = []
    for place, (like, want) in enumerate(zip(sizes, wanted, strict=True)):
        if like is None or not want:
            found.append(None)
        else:
            written = len(student.hidden) > 0 and (place != 1 or like.dtype == exact) and place != 2
            make = torch.empty_like if written else torch.zeros_like
            found.append(make(like, dtype=exact if place in (1, 2) else like.dtype))
    return found


def _stored(plan: Plan, target: Given, some: slice) -> Any:
    assert isinstance(target, TopK | Sampled)
    kept = target.select(torch.arange(some.start, some.stop, device=target.ids.device))
    return kept.dense() if plan.dense and isinstance(kept, TopK) else kept


def _total(plan: Plan, values: Tensor, weights: Tensor) -> Tensor:
    """One number: a token of weight 0 adds 0, whatever its value."""
    return torch.where(weights == 0, 0, weights * values).sum() / plan.count

"""Sides, targets, weights and masks drawn at random, through `losses.linear` and by whole logits in double precision."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from distrust import losses
from distrust.logits import TopK, top
from distrust.losses import Sampled, linear, sampled
from distrust.losses.linear import Projected

F64 = torch.float64
DIVERGENCES: dict[str, Callable[..., Tensor]] = {
    "forward": losses.forward_kl,
    "forward, differentiated": partial(losses.forward_kl),
    "reverse": losses.reverse_kl,
    "symmetric": partial(losses.symmetric_kl, reverse=0.3),
    "js": partial(losses.jensen_shannon, beta=0.3),
    "js 0": partial(losses.jensen_shannon, beta=0.0),
    "skew forward": losses.skew_forward_kl,
    "skew reverse": losses.skew_reverse_kl,
    "total variation": losses.total_variation,
    "alpha-beta": losses.alpha_beta,
    "adaptive": losses.adaptive_kl,
    "ranking": partial(losses.ranking, top=3),
    "interpolated": losses.interpolated_kl,
}
PRECISE = {F64: 1e-9, torch.float32: 2e-4, torch.bfloat16: 0.15}  # of the largest number
ITEMS: list[tuple[int, ...]] = [(2, 7), (5,), (1, 1), (3, 4), (0,), (2, 0), (2, 2, 3)]


class Draw:
    """A world of its own for each seed: items, classes, precision, and sides over them."""

    def __init__(self, seed: int) -> None:
        self.take, self.numbers = random.Random(seed), torch.Generator().manual_seed(seed)
        self.dtype: torch.dtype = self.take.choice([F64, F64, torch.float32, torch.bfloat16])
        self.items, self.classes = self.take.choice(ITEMS), self.take.choice([1, 2, 11, 40])

    def often(self, share: float) -> bool:
        return self.take.random() < share

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.numbers, dtype=F64)

    def side(self, width: int, pad: int, caps: Sequence[float | None], ruled: bool = False, dtype: Any = None) -> Projected:
        """Hidden states and a head that may be padded, biased, capped, wider in precision; `ruled`: one class cannot be."""
        dtype, rows = dtype or self.dtype, self.classes + pad
        hidden = self.normal(*self.items, width) * self.take.choice([1, 1, 5])
        wide = torch.float32 if dtype == torch.bfloat16 and self.often(0.4) else dtype
        bias = self.normal(rows).to(dtype) if ruled or self.often(0.35) else None
        if ruled and bias is not None:
            bias[self.take.randrange(self.classes)] = -math.inf
        return Projected(
            hidden.to(dtype), self.normal(rows, width).to(wide), bias, None if ruled else self.take.choice(caps)
        )

    def vocabulary(self, *heads: int) -> int | None:
        return self.classes if any(one != self.classes for one in heads) or self.often(0.2) else None

    def weights(self, *shape: int) -> Tensor | None:
        found = torch.rand(*shape, generator=self.numbers, dtype=F64) * (not self.often(0.2))
        if found.numel() and self.often(0.5):
            found.view(-1)[0] = 0
        return found if self.often(0.6) else None

    def counted(self) -> Tensor | None:
        found = torch.rand(*self.items, generator=self.numbers) > self.take.choice([0.5, 1.0])
        return found if self.often(0.5) else None

    def count(self) -> Any:
        return self.take.choice([None, 7, 0, torch.tensor(5.0, dtype=F64)])


def whole(one: Projected, classes: int) -> Tensor:
    z = one.hidden.double() @ one.weight.double().T + (0 if one.bias is None else one.bias.double())
    return (z if one.softcap is None else one.softcap * torch.tanh(z / one.softcap))[..., :classes]


def summed(each: Tensor, weights: Tensor | None, counted: Tensor | None, count: Any) -> Tensor:
    """Σ weight · loss over what counts, by count: each (M, *items); a weight of 0 leaves out an infinite loss too."""
    kept = torch.ones(each.shape[1:], dtype=torch.bool) if counted is None else counted
    weights = torch.ones_like(each) if weights is None else weights.reshape(each.shape)
    number = max(int(kept.sum()), 1) if count is None else max(float(count), 0) or 1
    return (torch.where(kept & (weights != 0), each, 0) * weights).sum() / number


def leaves(*sides: Projected) -> list[Tensor]:
    return [one.requires_grad_() for side in sides for one in (side.hidden, side.weight, side.bias) if one is not None]


def apart(mine: Tensor, theirs: Tensor, tolerance: float) -> bool:
    mine, theirs = mine.detach().double(), theirs.detach().double()
    same = mine.isinf() & theirs.isinf()
    scale = max(1.0, float(theirs[~same].abs().max())) if bool((~same).any()) else 1.0
    return mine.shape != theirs.shape or not bool((same | ((mine - theirs).abs() <= tolerance * scale)).all())


def one_sided(seed: int) -> list[str]:
    """What differs between `linear.divergence` and whole logits: nothing."""
    draw = Draw(seed)
    kind = draw.take.choice(["live", "live", "top", "spread", "samples"])
    pad, several = draw.take.choice([0, 0, 3]), draw.take.choice([1, 1, 2, 3])
    listed, temperature = several > 1 or draw.often(0.3), draw.take.choice([1.0, 1.0, 2.0, 0.5])
    name = draw.take.choice(list(DIVERGENCES))
    loss = DIVERGENCES[name]
    student = draw.side(draw.take.choice([1, 3, 6]), pad, [None, None, 2.0, 30.0])
    live = [
        draw.side(
            draw.take.choice([1, 2, 5]), draw.take.choice([0, 4]), [None, None, 3.0], kind == "live" and draw.often(0.15)
        )
        for _ in range(several)
    ]
    targets: list[Any] = live
    if kind != "live":
        said = [whole(one, draw.classes).to(F64 if draw.dtype == F64 else torch.float32) for one in live]
        if kind == "samples":
            loss, temperature = losses.sampled_cross_entropy, 1.0
            targets = [sampled(z, draw.take.choice([1, 4]), draw.numbers) for z in said]
        else:
            loss = losses.topk_kl if kind == "top" else loss
            targets = [top(z, draw.take.randint(1, draw.classes)) for z in said]
    weights, counted, count = draw.weights(*([several] if listed else []), *draw.items), draw.counted(), draw.count()
    vocabulary = draw.vocabulary(*(len(one.weight) for one in [student, *targets] if isinstance(one, Projected)))
    inputs = leaves(student)
    mine, values = linear.divergence(
        student,
        targets if listed else targets[0],
        loss=loss,
        weights=weights,
        counted=counted,
        count=count,
        temperature=temperature,
        vocabulary=vocabulary,
        chunk=draw.take.choice([1, 2, 5, 256]),
    )
    z, each = whole(student, draw.classes), []
    for one in targets:
        if isinstance(one, TopK):
            exact: Any = TopK(one.ids, one.logp.double(), one.tail.double(), one.classes)
            exact = exact if kind == "top" else exact.dense()
        elif isinstance(one, Sampled):
            exact = Sampled(one.ids, one.weights.double(), one.classes)
        else:
            exact = whole(one, draw.classes).detach()
        each.append(loss(z, exact, temperature))
    plain = torch.stack(each)
    told = plain.detach() if counted is None else torch.where(counted, plain.detach(), 0)
    pairs = [("values", values, told if listed else told[0])]
    pairs += _pairs(mine, summed(plain, weights, counted, count), inputs)
    return _differing(pairs, PRECISE[draw.dtype], f"{seed}: {kind} {name}")


def both_sided(seed: int) -> list[str]:
    """What differs between `linear.two_sided` and whole logits: nothing."""
    draw = Draw(seed)
    other = draw.dtype if draw.dtype == F64 or draw.often(0.7) else draw.take.choice([torch.float32, torch.bfloat16])
    student = draw.side(draw.take.choice([1, 3, 6]), draw.take.choice([0, 3]), [None, None, 2.0])
    teacher = draw.side(draw.take.choice([1, 2, 5]), draw.take.choice([0, 4]), [None, None, 3.0], dtype=other)
    name, alpha = draw.take.choice(["forward", "forward", *DIVERGENCES]), draw.take.choice([0.0, 0.25, 1.0])
    temperature = draw.take.choice([1.0, 1.0, 2.0])
    labels = torch.randint(-1, draw.classes, draw.items, generator=draw.numbers)
    weights, counted, count = draw.weights(*draw.items), draw.counted(), draw.count()
    inputs = [*leaves(student), teacher.hidden.requires_grad_()]
    found = linear.two_sided(
        student,
        teacher,
        labels,
        alpha=alpha,
        loss=DIVERGENCES[name],
        weights=weights,
        counted=counted,
        count=count,
        temperature=temperature,
        vocabulary=draw.vocabulary(len(student.weight), len(teacher.weight)),
        chunk=draw.take.choice([1, 2, 5, 256]),
    )
    s, t = whole(student, draw.classes), whole(teacher, draw.classes)
    learned = DIVERGENCES[name](s, t.detach(), temperature)
    adapted = alpha * losses.forward_kl(t, s.detach(), temperature) + (1 - alpha) * losses.cross_entropy(t, labels)
    pairs = []
    for own, values, each, wanted in (
        (found.student, found.student_values, learned, inputs[:-1]),
        (found.teacher, found.teacher_values, adapted, inputs[-1:]),
    ):
        pairs.append(("values", values, each.detach() if counted is None else torch.where(counted, each.detach(), 0)))
        pairs += _pairs(own, summed(each.unsqueeze(0), weights, counted, count), wanted)
    return _differing(pairs, max(PRECISE[draw.dtype], PRECISE[other]), f"{seed}: two-sided {name}")


Pair = tuple[str, Tensor, Tensor]


def _pairs(mine: Tensor, theirs: Tensor, inputs: list[Tensor]) -> list[Pair]:
    found = torch.autograd.grad(mine * 3, inputs)
    wanted = torch.autograd.grad(theirs * 3, inputs)
    assert all(one.dtype == leaf.dtype for one, leaf in zip(found, inputs, strict=True))
    return [("total", mine, theirs), *(("gradient", one, other) for one, other in zip(found, wanted, strict=True))]


def _differing(pairs: list[Pair], tolerance: float, what: str) -> list[str]:
    return [f"{what}: {name}" for name, mine, theirs in pairs if apart(mine, theirs, tolerance)]

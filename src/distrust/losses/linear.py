"""Exact divergences from hidden states and output heads, without ever holding logits of all tokens: (tokens, vocabulary).

Knows which sizes fit together, which positions count and by how much. `chunks` knows how. The one place in `losses` that
reduces, since its gradients are formed in the forward: give it weights and the global count, and get a scalar.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.losses import operands
from distrust.losses.blocks import Loss, Rows
from distrust.losses.chunks import Chunked, Given, Plan, Projected
from distrust.losses.distances import sorted_distance
from distrust.losses.divergence import check_share, check_temperature, forward_kl
from distrust.losses.stored import topk_kl

CHUNK = 256  # tokens: products are at full speed, and a chunk's logits are a small part of all

__all__ = ["Projected", "TwoSided", "divergence", "two_sided"]


class TwoSided(NamedTuple):
    """What each of two sides minimises, and what each token adds to it, detached."""

    student: Tensor  # ()
    teacher: Tensor  # ()
    student_values: Tensor  # (*items,)
    teacher_values: Tensor  # (*items,)


def divergence(
    student: Projected,
    targets: Given | Sequence[Given],
    *,
    loss: Loss = forward_kl,
    weights: Tensor | None = None,
    counted: Tensor | None = None,
    count: float | Tensor | None = None,
    temperature: float = 1.0,
    vocabulary: int | None = None,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Σ over tokens and targets of weight · loss, over count: the same number and gradients as from whole logits.

    Args:
        student: hidden states (*items, d) and head (C, d); gradients go to hidden states, head and bias.
        targets: a teacher's hidden states and head, its top k, draws from it; or M of these. None gets a gradient.
        loss: any of `distrust.losses` over two distributions, options bound by `functools.partial`; `topk_kl` and
            `sampled_cross_entropy` take what is stored as it is, others take the top k with its tail spread evenly.
            The forward KL without softcap has its gradient in closed form; others are differentiated block by block.
        weights: (*items), or (M, *items) for a list of targets; 1 if None. A token of weight 0 is left out of the sum, and
            read all the same: hidden states that are not finite belong to positions that do not count.
        counted: (*items) bool, the positions that count; others never reach a head. All if None.
        count: what the sum is divided by: the *global* number of counted tokens; those here if None. 0 is taken
            for 1: where no token counts, loss and gradients are 0.
        vocabulary: how many first rows of the heads are classes; what pads a head beyond gets no gradient and no mass.
        chunk: tokens at once.

    Returns:
        The loss (), for one backward; and what each token's loss is, before weights, (*items) or (M, *items), without
        gradient and 0 where a position does not count.

    Raises:
        DataError: sizes that do not fit, vocabularies that differ, options that are none; a second backward.
    """
    listed = isinstance(targets, Sequence)
    given: list[Given] = list(targets) if isinstance(targets, Sequence) else [targets]
    if not given:
        raise DataError("There are no targets; legal is one, or a list of one or more.")
    check_temperature(temperature)
    operands.check_chunk(chunk)
    plain = loss.func if isinstance(loss, partial) else loss
    items = student.hidden.shape[:-1]
    operands.check_items(student, given)
    operands.check_kinds(plain, given)
    classes = operands.classes(student, given, vocabulary, same=plain is not sorted_distance)
    rows = operands.counted_rows(counted, items)
    weights = operands.weights(weights, (len(given), *items) if listed else items, student, rows)
    learner = operands.cut(student, rows, classes)
    teachers = [operands.told(one, rows, classes) for one in given]
    biased = any(isinstance(one, Projected) and one.bias is not None for one in [student, *given])
    closed = loss is forward_kl and all(isinstance(one, Projected) and one.softcap is None for one in [student, *given])
    closed = closed and not (biased and len(given) > 1)
    number = operands.number(count, weights)
    if closed and biased:
        learner = operands.over_known(learner, teachers[0])
    plan = Plan(
        Rows(loss, temperature, tuple(getattr(one, "softcap", None) for one in [student, *given]), closed, biased),
        teachers,
        plain is not topk_kl,
        weights,
        (temperature if closed else 1.0) / number,
        number,
        chunk,
    )
    total, _, values, _ = Chunked.apply(  # type: ignore[no-untyped-call]
        plan, learner.hidden, learner.weight, learner.bias, None
    )
    spread = operands.spread(values, rows, items)
    return total, spread if listed else spread[0]


def two_sided(
    student: Projected,
    teacher: Projected,
    labels: Tensor,
    *,
    alpha: float,
    loss: Loss = forward_kl,
    weights: Tensor | None = None,
    counted: Tensor | None = None,
    count: float | Tensor | None = None,
    temperature: float = 1.0,
    vocabulary: int | None = None,
    chunk: int = CHUNK,
) -> TwoSided:
    """Both sides of OKD from one pair of softmaxes; each takes the other, detached, as its target.

    student: loss(s, t);  teacher: alpha · KL(q ‖ p) + (1 - alpha) · CE(labels, p), the CE at temperature 1. OKD, equations
    16 and 17. Gradients go to the student's hidden states, head and bias, and to the teacher's hidden states: its head is
    frozen. Each loss has its own backward, in any order.

    Args:
        labels: (*items) long, -1 where there is none: there the teacher only follows the student. Where a position does not
            count, any number.
        alpha: in [0, 1]. Other arguments, and what is raised, as in `divergence`; weights: (*items), for both sides.
    """
    check_share("alpha", alpha)
    check_temperature(temperature)
    operands.check_chunk(chunk)
    items = student.hidden.shape[:-1]
    operands.check_items(student, [teacher])
    operands.check_kinds(loss.func if isinstance(loss, partial) else loss, [teacher])
    classes = operands.classes(student, [teacher], vocabulary, same=True)
    if labels.shape != items or labels.dtype != torch.long:
        raise DataError(f"Labels are {labels.dtype} {tuple(labels.shape)}; legal is int64 {tuple(items)}, -1 for none.")
    if teacher.weight.requires_grad or (teacher.bias is not None and teacher.bias.requires_grad):
        raise DataError(
            "The teacher's head wants a gradient and would get none; legal is a frozen head (requires_grad False)."
        )
    rows = operands.counted_rows(counted, items)
    weights = operands.weights(weights, items, student, rows)
    plain = all(one.bias is None and one.softcap is None for one in (student, teacher))
    closed = loss is forward_kl and temperature == 1 and plain
    learner, other = operands.cut(student, rows, classes), operands.cut(teacher, rows, classes)
    told = labels.reshape(-1) if rows is None else labels.reshape(-1)[rows]
    operands.check_labels(told, len(learner.weight))
    number = operands.number(count, weights)
    plan = Plan(
        Rows(loss, temperature, (student.softcap, teacher.softcap), closed, ruled=False, alpha=alpha),
        [operands.detached(other)],
        False,
        weights,
        1.0 / number,
        number,
        chunk,
        told,
    )
    total, taught, values, own = Chunked.apply(  # type: ignore[no-untyped-call]
        plan, learner.hidden, learner.weight, learner.bias, other.hidden
    )
    per_token = operands.spread(torch.stack([values[0], own]), rows, items)
    return TwoSided(total, taught, per_token[0], per_token[1])

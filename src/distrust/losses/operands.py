"""What goes into `linear`, made to fit: positions that count, classes that are, weights of the right shape; or a refusal.

Knows sizes of hidden states, heads and stored targets. Knows nothing of divergences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Size, Tensor

from distrust.errors import DataError
from distrust.logits import TopK
from distrust.losses.blocks import Loss
from distrust.losses.chunks import Given, Projected
from distrust.losses.stored import Sampled, sampled_cross_entropy, topk_kl


def check_items(student: Projected, targets: Sequence[Given]) -> None:
    """Raises DataError for hidden states and heads that do not fit each other, or items that differ."""
    items = student.hidden.shape[:-1]
    for name, given in [("The student", student), *(("A teacher", one) for one in targets)]:
        if isinstance(given, Projected):
            size = given.hidden.shape[-1]
            bias = given.bias is None or given.bias.shape == given.weight.shape[:1]
            if given.weight.dim() != 2 or given.weight.shape[1] != size or not bias:
                raise DataError(
                    f"{name}'s head is {tuple(given.weight.shape)} for hidden states of size {size}"
                    f"{'' if bias or given.bias is None else f', its bias {tuple(given.bias.shape)}'}; "
                    "legal is (classes, size), and (classes,) for a bias."
                )
            if given.softcap is not None and not given.softcap > 0:
                raise DataError(f"{name}'s softcap is {given.softcap}; legal is any number above 0, or None.")
        there = given.hidden.shape[:-1] if isinstance(given, Projected) else given.ids.shape[:-1]
        if there != items:
            raise DataError(f"{name} has items {tuple(there)} and the student {tuple(items)}; legal is the same.")


def check_kinds(loss: Loss, targets: Sequence[Given]) -> None:
    """Raises DataError for targets of a kind that the loss does not read: top k and draws each have their own."""
    wanted = {topk_kl: TopK, sampled_cross_entropy: Sampled}.get(loss)
    for one in targets:
        if (wanted is None and isinstance(one, Sampled)) or (wanted is not None and not isinstance(one, wanted)):
            name = getattr(loss, "__name__", "The loss")
            raise DataError(
                f"{name} is asked for towards {type(one).__name__}; legal are topk_kl towards TopK, sampled_cross_entropy "
                "towards Sampled, and every other divergence towards Projected or TopK."
            )


def check_labels(labels: Tensor, classes: int) -> None:
    """Raises DataError for labels (n,) that are no class and not -1, which is for none."""
    wrong = labels[(labels < -1) | (labels >= classes)]
    if len(wrong):
        raise DataError(f"A label is {int(wrong[0])}; legal is 0 to {classes - 1}, -1 for none.")


def check_chunk(chunk: int) -> None:
    """Raises DataError for a chunk of no tokens."""
    if chunk < 1:
        raise DataError(f"chunk is {chunk}; legal is 1 token or more.")


def classes(student: Projected, targets: Sequence[Given], vocabulary: int | None, same: bool) -> int | None:
    """How many classes there are, for everybody; None where sizes may differ (`same` is False) and nothing is cut.

    Raises:
        DataError: sizes that differ, or a vocabulary larger than a head.
    """
    sizes = [len(student.weight), *(len(one.weight) if isinstance(one, Projected) else one.classes for one in targets)]
    if vocabulary is None:
        if same and len(set(sizes)) > 1:
            raise DataError(
                f"Vocabularies differ: {sizes[0]} of the student, {', '.join(map(str, sizes[1:]))} of its targets. Where "
                "heads are only padded, say `vocabulary`; for another tokenizer the loss is `sorted_distance` (ULD)."
            )
        return sizes[0] if same else None
    stored = [one.classes for one in targets if not isinstance(one, Projected)]
    if not 1 <= vocabulary <= min(sizes) or any(one != vocabulary for one in stored):
        raise DataError(
            f"vocabulary is {vocabulary}; legal is 1 to {min(sizes)}, the smallest head, and what stored targets are over."
        )
    return vocabulary


def counted_rows(counted: Tensor | None, items: Size) -> Tensor | None:
    """Which flat positions count: (*items) bool to (n,) indices, None for all."""
    if counted is None:
        return None
    if counted.shape != items or counted.dtype != torch.bool:
        raise DataError(f"counted is {counted.dtype} {tuple(counted.shape)}; legal is bool {tuple(items)}.")
    return counted.reshape(-1).nonzero().squeeze(-1)


def weights(given: Tensor | None, shape: Sequence[int], student: Projected, rows: Tensor | None) -> Tensor:
    """Weights as (M, n) without gradient, in the precision that values have."""
    hidden = student.hidden
    exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    if given is None:
        given = hidden.new_ones((), dtype=exact).expand(*shape)
    elif given.shape != Size(shape):
        raise DataError(f"Weights are {tuple(given.shape)}; legal is {tuple(shape)}: one for each token (of each target).")
    teachers = shape[0] if len(shape) == hidden.dim() else 1
    flat = given.detach().to(exact).reshape(teachers, hidden[..., 0].numel())
    return flat if rows is None else flat[:, rows]


def number(count: float | Tensor | None, weights: Tensor) -> float | Tensor:
    """What a sum over weights (M, n) is divided by: `count`, the positions here if None; 1 in place of 0.

    Raises:
        DataError: a number below 0, or none.
    """
    if count is None:
        return max(weights.shape[1], 1)
    if isinstance(count, Tensor):
        return torch.where(count == 0, 1, count)
    if not count >= 0:
        raise DataError(f"count is {count}; legal is how many tokens there are, 0 or more.")
    return count or 1


def cut(side: Projected, rows: Tensor | None, size: int | None) -> Projected:
    """Positions that count, flat, and classes that are; the head in the hidden states' precision, as autocast has it."""
    hidden = side.hidden.reshape(-1, side.hidden.shape[-1])
    weight = side.weight if size is None or size == len(side.weight) else side.weight[:size]
    bias = None if side.bias is None else side.bias[:size].to(hidden.dtype)
    return Projected(hidden if rows is None else hidden[rows], weight.to(hidden.dtype), bias, side.softcap)


def told(target: Given, rows: Tensor | None, size: int | None) -> Given:
    """A target's positions that count, flat, without gradient."""
    if isinstance(target, Projected):
        return detached(cut(target, rows, size))
    ids = target.ids.reshape(-1, target.ids.shape[-1])
    if isinstance(target, TopK):
        flat: TopK | Sampled = TopK(ids, target.logp.reshape(ids.shape), target.tail.reshape(-1), target.classes)
    else:
        flat = Sampled(ids, target.weights.reshape(ids.shape), target.classes)
    return flat if rows is None else flat.select(rows)


def detached(side: Projected) -> Projected:
    """The same without gradient."""
    bias = None if side.bias is None else side.bias.detach()
    return Projected(side.hidden.detach(), side.weight.detach(), bias, side.softcap)


def over_known(student: Projected, teacher: Given) -> Projected:
    """The student without the classes that the teacher's bias rules out: there it "does not know", as in `divergence`."""
    if not isinstance(teacher, Projected) or teacher.bias is None:
        return student
    bias = student.weight.new_zeros(len(student.weight)) if student.bias is None else student.bias
    return replace(student, bias=bias.masked_fill(teacher.bias == -torch.inf, -torch.inf))


def spread(values: Tensor, rows: Tensor | None, items: Size) -> Tensor:
    """(M, n) of the positions that count to (M, *items), 0 elsewhere."""
    if rows is not None:
        values = values.new_zeros(len(values), items.numel()).index_copy(1, rows, values)
    return values.reshape(len(values), *items)

"""Random numbers as `losses.linear` takes them, and how far what it makes of them is from double precision.

Knows sizes, precisions and devices. Knows nothing of time or memory; nothing here is a model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distrust.losses import cross_entropy, forward_kl, linear
from distrust.losses.linear import Projected

Made = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # student's hidden, head; teacher's hidden, head; labels
ALPHA = 0.25  # of the two-sided loss


def numbers(width: int, other: int, classes: int, tokens: int) -> Made:
    """Hidden states and heads of both sides, and labels, whose logits are spread as a language model's."""
    draw = torch.Generator().manual_seed(0)
    sizes = ((tokens, width), (classes, width), (tokens, other), (classes, other))
    made = [torch.randn(*size, generator=draw) for size in sizes]
    for one in made[1::2]:
        one.mul_(2 / one.shape[1] ** 0.5)  # logits of spread 2; in place, or making them would be the peak of memory
    hidden, head, theirs, frozen = made
    return hidden.requires_grad_(), head.requires_grad_(), theirs, frozen, torch.randint(classes, (tokens,), generator=draw)


def all_errors() -> dict[str, float | bool]:
    """On the CPU: in single precision, two-sided, and in bf16 beside whole logits in bf16."""
    exact, halved = (errors(torch.device("cpu"), dtype) for dtype in (torch.float32, torch.bfloat16))
    found = {"max_error": exact[0], "max_error.two_sided": two_sided_error()}
    return {**found, "max_error.bf16": halved[0], "max_error.bf16.naive": halved[1]}


def errors(device: torch.device, dtype: torch.dtype) -> list[float]:
    """The largest difference from double precision of the same numbers, over the largest number: ours, and whole logits'.

    Of the value and both gradients.
    """
    made = on(numbers(256, 512, 8192, 300), device, dtype)
    exact = [one.detach().double().requires_grad_() for one in made[:4]]
    plain = forward_kl(exact[0] @ exact[1].T, (exact[2] @ exact[3].T).detach()).mean()
    plain.backward()
    found = []
    for value in (
        lambda: linear.divergence(Projected(made[0], made[1]), Projected(made[2], made[3]))[0],
        lambda: forward_kl(made[0] @ made[1].T, made[2] @ made[3].T).mean(),
    ):
        made[0].grad = made[1].grad = None
        said = value()
        said.backward()
        found.append(_apart((said, plain), (made[0].grad, exact[0].grad), (made[1].grad, exact[1].grad)))
    return found


def two_sided_error() -> float:
    """The same of both sides' values and all three gradients of the two-sided loss, in single precision."""
    hidden, head, theirs, frozen, labels = numbers(256, 512, 8192, 300)
    theirs.requires_grad_()
    found = linear.two_sided(Projected(hidden, head), Projected(theirs, frozen), labels, alpha=ALPHA)
    (found.student + found.teacher).backward()
    mine, own, its, fixed = (one.detach().double().requires_grad_() for one in (hidden, head, theirs, frozen))
    said, heard = mine @ own.T, its @ fixed.T
    student = forward_kl(said, heard.detach()).mean()
    pulled = forward_kl(heard, said.detach())
    teacher = (ALPHA * pulled + (1 - ALPHA) * cross_entropy(heard, labels)).mean()
    (student + teacher).backward()
    values = ((found.student, student), (found.teacher, teacher))
    return _apart(*values, (hidden.grad, mine.grad), (head.grad, own.grad), (theirs.grad, its.grad))


def _apart(*pairs: tuple[Any, Any]) -> float:
    """The largest difference of a tensor from another, over the other's largest number."""
    return max(float((one - other).detach().abs().max() / other.detach().abs().max()) for one, other in pairs)


def on(made: Made, device: torch.device, dtype: torch.dtype) -> Made:
    """The same on a device, in a precision."""
    hidden, head, theirs, frozen = (one.detach().to(device, dtype) for one in made[:4])
    return hidden.requires_grad_(), head.requires_grad_(), theirs, frozen, made[4].to(device)

"""A chunk of tokens at a time: how many are in one changes nothing, and what is written into is never read before."""

from __future__ import annotations

import pytest
import torch

from distrust import losses
from distrust.losses import linear
from distrust.losses.chunks import Projected
from tests.losses.loops import F64


def sides(tokens: int = 9) -> tuple[Projected, Projected]:
    draw = torch.Generator().manual_seed(1)
    made = [torch.randn(*shape, generator=draw, dtype=F64) for shape in ((tokens, 3), (6, 3), (6,), (tokens, 4), (6, 4))]
    return Projected(*(one.requires_grad_() for one in made[:3])), Projected(*made[3:])


@pytest.mark.parametrize("loss", [losses.forward_kl, losses.reverse_kl])
def test_any_chunk_gives_the_same_number_and_gradients(loss: linear.Loss) -> None:
    found = []
    for chunk in (1, 2, 4, 9, 100):
        student, teacher = sides()
        assert student.bias is not None
        value, _ = linear.divergence(student, teacher, loss=loss, chunk=chunk, temperature=2.0)
        found.append((value, *torch.autograd.grad(value, (student.hidden, student.weight, student.bias))))
    for other in found[1:]:
        assert all(torch.allclose(mine, first, atol=1e-13) for mine, first in zip(other, found[0], strict=True))


def test_logits_are_written_scaled_and_before_the_cap() -> None:
    side = Projected(
        torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.5, 0.0]), 3.0
    )
    out = torch.full((2, 2), torch.nan)
    assert side.write(slice(1, 2), 0.5, out).tolist() == [[0.25, 1.0]]
    assert bool(out[1].isnan().all()), "one row was asked for"


def test_no_tokens_are_zero_with_gradients_of_zero() -> None:
    student, teacher = sides(0)
    assert student.bias is not None
    value, values = linear.divergence(student, teacher, count=1)
    gradients = torch.autograd.grad(value, (student.hidden, student.weight, student.bias))
    assert value.item() == 0 and values.shape == (0,) and not any(bool(one.any()) for one in gradients)

"""EBKD's weights: sure teachers count more, and saturated ones leave no NaN."""

from __future__ import annotations

import math

import pytest
import torch

from distrust import trust
from distrust.errors import DataError


def test_the_same_as_a_naive_loop() -> None:
    logits = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = trust.entropy_weights(logits)
    for item in range(6):
        unsure = []
        for teacher in range(3):
            scores = [math.exp(one) for one in logits[teacher, item].tolist()]
            unsure.append(-sum(one / sum(scores) * math.log(one / sum(scores)) for one in scores))
        for teacher in range(3):
            assert float(weights[teacher, item]) == pytest.approx((1 - unsure[teacher] / sum(unsure)) / 2, rel=1e-12)


@pytest.mark.parametrize("scale", [200.0, 1e4])
def test_saturated_logits_have_finite_weights_and_gradients(scale: float) -> None:
    """Trap 7: the official code gives NaN where a softmax underflows."""
    logits = torch.tensor([[[scale, -scale]], [[-scale, scale]], [[0.0, 0.1]]], requires_grad=True)
    weights = trust.entropy_weights(logits)
    assert weights.flatten().tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    (weights * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())
    certain = trust.entropy_weights(logits.detach()[:2])
    assert certain.flatten().tolist() == [0.5, 0.5]


def test_one_teacher_gets_all_and_the_silent_get_nothing() -> None:
    logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    logits[2] = -math.inf
    answered = torch.ones(3, 5, dtype=torch.bool)
    answered[1, 3:] = False
    weights = trust.entropy_weights(logits, answered)
    assert torch.equal(weights[2], torch.zeros(5)) and torch.equal(weights[:2, 3:], torch.tensor([[1.0] * 2, [0.0] * 2]))
    assert torch.allclose(weights[:2, :3], trust.entropy_weights(logits[:2, :3]))
    assert torch.equal(trust.entropy_weights(logits[:1]), torch.ones(1, 5))
    assert torch.equal(trust.entropy_weights(logits[2:]), torch.zeros(1, 5))


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match=r"`answered` is \(5,\); legal is \(3, 5\)"):
        trust.entropy_weights(torch.zeros(3, 5, 4), torch.ones(5, dtype=torch.bool))

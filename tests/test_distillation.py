"""The ordinary objective: equal to the plain losses, whichever cross-entropy it takes, and only the terms that tell."""

from __future__ import annotations

import pytest
import torch

from distrust.distillation import default_objective
from distrust.labelled import from_gold, from_targets
from distrust.losses import cross_entropy
from tests import worlds

ITEMS, LABELS = worlds.points(6)
SOFT = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)).softmax(-1)
LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("targets", [SOFT, torch.eye(3)[LABELS]], ids=["soft", "with zeros"])
def test_targets_at_a_temperature(targets: torch.Tensor, temperature: float) -> None:
    objective = default_objective(from_targets(ITEMS, targets), temperature)
    assert list(objective.terms) == ["target"]
    loss, _ = objective(LOGITS, {"targets": targets})
    by_hand = [
        -sum(p * q for p, q in zip(row, z, strict=True))
        for row, z in zip(targets.double().tolist(), (LOGITS.double() / temperature).log_softmax(-1).tolist(), strict=True)
    ]
    assert float(loss) == pytest.approx(temperature**2 * sum(by_hand) / 6, rel=1e-6)


def test_both_cross_entropies_agree_bit_for_bit() -> None:
    """In value and in gradient: torch's own serves where no target is zero."""
    for given in (SOFT, torch.cat([SOFT[:5], torch.eye(3)[:1]])):
        ours, plain = (LOGITS.clone().requires_grad_() for _ in range(2))
        default_objective(from_targets(ITEMS, given))(ours, {"targets": given})[0].backward()
        cross_entropy(plain, given).mean().backward()
        assert torch.equal(ours.grad, plain.grad)  # type: ignore[arg-type]


def test_a_zero_target_meets_an_impossible_class_and_stays_finite() -> None:
    logits = LOGITS.clone()
    logits[:, 2] = -torch.inf
    logits.requires_grad_()
    targets = torch.tensor([[0.5, 0.5, 0.0]]).expand(6, 3)
    loss, _ = default_objective(from_targets(ITEMS, targets))(logits, {"targets": targets})
    loss.backward()
    assert bool(loss.isfinite()) and logits.grad is not None and bool(logits.grad.isfinite().all())


def test_gold_alone_and_gold_beside_targets() -> None:
    assert list(default_objective(from_gold(ITEMS, LABELS, 3)).terms) == ["gold"]
    both = from_targets(ITEMS.select(range(3)), SOFT[:3]) + from_gold(ITEMS.select(range(3, 6)), LABELS[3:], 3)
    objective = default_objective(both)
    assert list(objective.terms) == ["target", "gold"]
    loss, parts = objective(LOGITS, {"targets": both.targets, "labels": both.labels})
    expected = (cross_entropy(LOGITS[:3], SOFT[:3]).sum() + cross_entropy(LOGITS[3:], LABELS[3:]).sum()) / 6
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(parts["target"] + parts["gold"], expected)

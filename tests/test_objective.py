"""The objective: one reduction, by the count of what is counted."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from distrust import losses
from distrust.objective import Batch, Objective, Term


def target_loss(logits: Tensor, batch: Batch) -> Tensor:
    return losses.cross_entropy(logits, batch["target"])


def gold_loss(logits: Tensor, batch: Batch) -> Tensor:
    return losses.cross_entropy(logits, batch["gold"])


PLAIN = Objective({"target": Term(target_loss)})
MIXED = Objective({"target": Term(target_loss, 0.7), "gold": Term(gold_loss, 0.3)})


def batch_of(items: int, **more: Tensor) -> tuple[Tensor, Batch]:
    logits = torch.randn(items, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(items, 4, dtype=torch.float64).softmax(-1)
    return logits, {"target": target, "gold": torch.randint(-1, 4, (items,)), **more}


def test_the_plain_case_is_a_hand_written_loss_bit_for_bit() -> None:
    logits, labels = torch.randn(32, 10, requires_grad=True), torch.randint(0, 10, (32,))
    value, parts = PLAIN(logits, {"target": labels})
    by_hand = torch.nn.functional.cross_entropy(logits, labels)
    assert torch.equal(value, by_hand) and torch.equal(parts["target"], by_hand)
    assert torch.equal(torch.autograd.grad(value, logits)[0], torch.autograd.grad(by_hand, logits)[0])


def test_terms_are_weighed_and_parts_are_reported_unweighed_and_detached() -> None:
    logits, batch = batch_of(6)
    value, parts = MIXED(logits, batch)
    naive = {
        "target": sum(losses.cross_entropy(logits, batch["target"]).tolist()) / 6,
        "gold": sum(losses.cross_entropy(logits, batch["gold"]).tolist()) / 6,
    }
    assert {name: float(part) for name, part in parts.items()} == pytest.approx(naive)
    assert float(value.detach()) == pytest.approx(0.7 * naive["target"] + 0.3 * naive["gold"])
    assert value.requires_grad and not any(part.requires_grad for part in parts.values())


def test_a_weight_of_zero_is_absence_in_value_and_gradient() -> None:
    logits, batch = batch_of(6, weight=torch.tensor([1.0, 0, 2, 0, 0, 0.5], dtype=torch.float64))
    value, _ = MIXED(logits, batch)
    (gradient,) = torch.autograd.grad(value, logits)
    kept = [0, 2, 5]
    small = logits.detach()[kept].requires_grad_()
    subset, _ = MIXED(small, {name: values[kept] for name, values in batch.items()})
    assert torch.allclose(value, subset, atol=1e-15)
    assert torch.allclose(gradient[kept], torch.autograd.grad(subset, small)[0], atol=1e-15)
    assert gradient[[1, 3, 4]].tolist() == [[0.0] * 4] * 3


def test_an_item_left_out_may_have_an_infinite_loss() -> None:
    logits = torch.tensor([[0.0, -math.inf], [0.0, 0.0]], requires_grad=True)
    value, _ = PLAIN(logits, {"target": torch.tensor([1, 0]), "weight": torch.tensor([0.0, 1.0])})
    (gradient,) = torch.autograd.grad(value, logits)
    assert float(value.detach()) == pytest.approx(math.log(2)) and gradient[0].tolist() == [0, 0]


def test_only_ratios_of_weights_count() -> None:
    weight = torch.rand(6, dtype=torch.float64)
    logits, batch = batch_of(6, weight=weight)
    value, _ = PLAIN(logits, batch)
    scaled, _ = PLAIN(logits, batch | {"weight": weight * 1000})
    ones, _ = PLAIN(logits, batch | {"weight": torch.ones(6, dtype=torch.float64)})
    without, _ = PLAIN(logits, {name: one for name, one in batch.items() if name != "weight"})
    assert torch.allclose(value, scaled, atol=1e-15) and torch.allclose(ones, without, atol=1e-15)
    assert not torch.allclose(value, without)


@pytest.mark.parametrize("weighted", [False, True])
def test_two_half_batches_that_know_the_whole_count_equal_the_whole_batch(weighted: bool) -> None:
    logits, batch = batch_of(10)
    if weighted:
        batch["weight"] = torch.tensor([1.0, 0, 0.5] + [2.0] * 7, dtype=torch.float64)
    value, _ = MIXED(logits, batch)
    (whole,) = torch.autograd.grad(value, logits)
    count = batch["weight"].sum() if weighted else torch.tensor(10)
    total, gradient = torch.zeros((), dtype=torch.float64), torch.zeros_like(whole)
    for rows in (slice(0, 3), slice(3, 10)):  # of unequal size: a mean of means would be wrong
        part, _ = MIXED(logits[rows], {name: one[rows] for name, one in batch.items()} | {"count": count})
        total, gradient = total + part.detach(), gradient + torch.autograd.grad(part, logits)[0]
    assert torch.allclose(total, value, atol=1e-14) and torch.allclose(gradient, whole, atol=1e-14)


def test_tokens_are_reduced_over_all_that_count() -> None:
    logits, target = torch.randn(2, 5, 4, dtype=torch.float64), torch.randint(0, 4, (2, 5))
    mask = torch.tensor([[1.0, 1, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.float64)
    value, _ = PLAIN(logits, {"target": target, "weight": mask})
    per_token = losses.cross_entropy(logits, target)
    assert float(value.detach()) == pytest.approx(sum(float(one) for one in per_token[mask > 0]) / 4)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"weight": torch.zeros(0, dtype=torch.float64)},
        {"count": torch.tensor(0)},
        {"weight": torch.zeros(0, dtype=torch.float64), "count": torch.tensor(0.0)},
    ],
)
def test_an_empty_batch_gives_zero_and_a_gradient(more: dict[str, Tensor]) -> None:
    logits, batch = batch_of(0, **more)
    value, _ = MIXED(logits, batch)
    assert float(value.detach()) == 0 and torch.autograd.grad(value, logits)[0].shape == (0, 4)


def test_a_batch_in_which_nothing_counts_gives_zero_and_a_gradient_of_zero() -> None:
    logits, batch = batch_of(3, weight=torch.zeros(3, dtype=torch.float64))
    value, _ = MIXED(logits, batch)
    assert float(value.detach()) == 0 and torch.autograd.grad(value, logits)[0].tolist() == [[0.0] * 4] * 3


def test_two_objectives_share_nothing() -> None:
    first, second = Objective({"target": Term(target_loss)}), Objective({"target": Term(target_loss)})
    first.modules["projection"] = nn.Linear(2, 2)
    assert "projection" not in second.modules and len(list(second.modules.parameters())) == 0

"""What labels show of teachers: which classes they exchange, and where each is worth hearing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from distrust import trust
from distrust.errors import DataError
from distrust.trust import reliability

CLASSES, ITEMS = 4, 200
LABELS = torch.arange(ITEMS) % CLASSES
TRUTH = one_hot(LABELS, CLASSES).float()


def says(claims: Tensor, sure: float = 3.0, seed: int = 0) -> Tensor:
    """Logits (N, C) whose largest is at the claim."""
    noise = 0.3 * torch.rand(len(claims), CLASSES, generator=torch.Generator().manual_seed(seed))
    return noise + sure * one_hot(claims, CLASSES)


def noisy(rate: float, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    wrong = (LABELS + torch.randint(1, CLASSES, (ITEMS,), generator=draw)) % CLASSES
    return torch.where(torch.rand(ITEMS, generator=draw) < rate, wrong, LABELS)


GOOD, NOISY = says(noisy(0.05, 1)), says(noisy(0.7, 2))
SWAPS = says(torch.tensor([1, 0, 2, 3])[noisy(0.05, 3)])


def test_exchanged_classes_are_read_as_what_they_mean() -> None:
    found = reliability(torch.stack([GOOD, SWAPS, NOISY]), TRUTH)
    assert found.meaning.tolist() == [[0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 2, 3]] and found.renames
    read = found.read(torch.stack([GOOD, SWAPS, NOISY]))
    assert torch.allclose(read.exp().sum(-1), torch.ones(3, ITEMS))
    assert torch.allclose(read[1][:, [1, 0, 2, 3]], SWAPS.log_softmax(-1), atol=1e-6)
    assert torch.allclose(read[0], GOOD.log_softmax(-1), atol=1e-6)
    weights = found.weights(torch.stack([GOOD, SWAPS, NOISY]), TRUTH)
    assert torch.allclose(weights.sum(0), torch.ones(ITEMS))
    assert float(weights[1].mean()) > 0.4 and float(weights[2].mean()) < 0.02


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_labels_are_no_proof(count: int) -> None:
    labels = torch.where((torch.arange(ITEMS) < count * CLASSES).unsqueeze(-1), TRUTH, 0.0)
    found = reliability(torch.stack([GOOD, SWAPS]), labels)
    assert not found.renames


def test_two_classes_in_one_claim_are_not_told_apart() -> None:
    """Half of its `0` are really 0: nothing else is meant in more than half of the items."""
    merges = says(torch.tensor([0, 0, 2, 3])[LABELS])
    assert not reliability(merges[None], TRUTH).renames


def test_worth_is_by_class_and_drawn_to_the_teachers_mean() -> None:
    half = says(torch.where(LABELS < 2, LABELS, noisy(0.9, 5)))
    found = reliability(torch.stack([GOOD, half]), TRUTH)
    chance = half.softmax(-1)
    overall = float((chance * TRUTH).sum() / ITEMS)
    for label in range(CLASSES):
        hits = float(chance[label == LABELS][:, label].sum())
        assert float(found.right[1, label]) == pytest.approx((hits + 4 * overall) / (ITEMS / CLASSES + 4), rel=1e-5)
    assert found.say[1, :2].min() > 0.3 and found.say[1, 2:].max() < 0.05
    assert found.say.amax(0).tolist() == [1, 1, 1, 1]
    behind = float(found.right[0, 3] - found.right[1, 3])
    assert float(found.say[1, 3]) == pytest.approx(math.exp(-behind / 0.1), rel=1e-4)


def test_weights_by_hand() -> None:
    found = trust.Reliability(torch.arange(CLASSES).expand(2, CLASSES), torch.tensor([[0.9] * 4, [0.8] * 4]))
    logits = torch.stack([GOOD, NOISY])
    loss = [torch.nn.functional.cross_entropy(one, LABELS, reduction="none") for one in logits]
    for item in range(5):
        raw = [math.exp(-float(loss[0][item])), math.exp(-float(loss[1][item]) - 1)]
        found_here = found.weights(logits, TRUTH)[:, item].tolist()
        assert found_here == pytest.approx([one / sum(raw) for one in raw], rel=1e-4)
    assert torch.allclose(found.weights(logits, torch.zeros_like(TRUTH)), torch.full((2, ITEMS), 0.5))


def test_one_teacher_gets_all_and_permuting_changes_nothing() -> None:
    logits = torch.stack([GOOD, SWAPS, NOISY])
    weights = reliability(logits, TRUTH).weights(logits, TRUTH)
    order = [2, 0, 1]
    assert torch.allclose(reliability(logits[order], TRUTH).weights(logits[order], TRUTH), weights[order], atol=1e-6)
    assert torch.equal(reliability(logits[:1], TRUTH).weights(logits[:1], TRUTH), torch.ones(1, ITEMS))
    assert torch.equal(reliability(logits, TRUTH).of([2, 0]).meaning, reliability(logits, TRUTH).meaning[[2, 0]])


def test_unknown_classes_stay_unknown_and_the_silent_unheard() -> None:
    special = GOOD.masked_fill(torch.tensor([False, False, True, True]), -math.inf)
    silent = torch.full_like(GOOD, -math.inf)
    logits = torch.stack([special, silent, GOOD])
    found = reliability(logits, TRUTH)
    read = found.read(logits)
    assert torch.equal(read[:2] == -math.inf, logits[:2] == -math.inf)
    weights = found.weights(logits, TRUTH)
    assert float(weights[1].max()) == 0 and float(weights[0][LABELS >= 2].max()) == 0
    assert float(weights[0][LABELS < 2].min()) > 0.1


@pytest.mark.parametrize("scale", [200.0, 1e4])
def test_saturated_teachers_have_finite_weights_and_gradients(scale: float) -> None:
    logits = (scale * torch.stack([GOOD, SWAPS])).requires_grad_()
    weights = reliability(logits.detach(), TRUTH).weights(logits, TRUTH)
    assert bool(weights.isfinite().all())
    (weights * torch.tensor([[1.0], [2.0]])).sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="legal are"):
        reliability(GOOD, TRUTH)
    with pytest.raises(DataError, match="legal are"):
        reliability(GOOD[None], LABELS)

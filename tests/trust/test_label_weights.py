"""Weights over teachers from the label: card of CA-MKD, equations 1 and 2, and the rules beside it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust import trust
from distrust.errors import DataError
from distrust.trust.label_weights import RULES

INF = math.inf
GOOD, BAD = 0.05, 3.0  # cross-entropies of the card's table of ceilings


def draw(teachers: int, items: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(teachers, items, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (items,), generator=generator)


def naive(logits: Tensor, labels: Tensor, rule: str) -> list[list[float]]:
    """Item by item, teacher by teacher, in double precision."""
    teachers, items = logits.shape[:2]
    found = [[0.0] * items for _ in range(teachers)]
    for item in range(items):
        losses = []
        for teacher in range(teachers):
            scores = logits[teacher, item].tolist()
            losses.append(math.log(sum(math.exp(one) for one in scores)) - scores[int(labels[item])])
        if rule == "ca_mkd":
            raw = [(1 - math.exp(one) / sum(map(math.exp, losses))) / (teachers - 1) for one in losses]
        elif rule == "softmin":
            raw = [math.exp(-one) / sum(math.exp(-other) for other in losses) for one in losses]
        else:
            raw = [1 / (1 + one) / sum(1 / (1 + other) for other in losses) for one in losses]
        for teacher in range(teachers):
            found[teacher][item] = raw[teacher]
    return found


@pytest.mark.parametrize("rule", RULES)
def test_the_same_as_a_naive_loop(rule: str) -> None:
    logits, labels = draw(4, 7, 5)
    expected = torch.tensor(naive(logits, labels, rule), dtype=torch.float64)
    assert torch.allclose(trust.label_weights(logits, labels, rule=rule), expected, atol=1e-14)


@pytest.mark.parametrize(
    ("teachers", "good", "high", "low", "on_bad", "softmin_on_bad"),
    [
        (2, 1, 0.950, 0.050, 0.05, 0.05),
        (3, 2, 0.476, 0.047, 0.05, 0.03),
        (3, 1, 0.487, 0.256, 0.51, 0.10),
        (5, 4, 0.239, 0.043, 0.04, 0.01),
        (5, 2, 0.246, 0.169, 0.51, 0.07),
        (5, 1, 0.247, 0.188, 0.75, 0.17),
        (10, 5, 0.110, 0.090, 0.45, 0.05),
    ],
)
def test_the_ceiling_of_ca_mkd(
    teachers: int, good: int, high: float, low: float, on_bad: float, softmin_on_bad: float
) -> None:
    """Card, "Ceiling": the rule rejects the worst teacher, it does not pick the best."""
    loss = torch.tensor([GOOD] * good + [BAD] * (teachers - good), dtype=torch.float64)
    heard = torch.ones_like(loss)
    weights = trust.ca_mkd_weights(loss, heard)
    assert weights[0].item() == pytest.approx(high, abs=5e-4) and weights[-1].item() == pytest.approx(low, abs=6e-4)
    assert weights[good:].sum().item() == pytest.approx(on_bad, abs=6e-3)
    assert trust.softmin_weights(loss, heard)[good:].sum().item() == pytest.approx(softmin_on_bad, abs=6e-3)


@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from(sorted(RULES)), st.floats(0.1, 1e4))
def test_weights_sum_to_one_under_the_ceiling(teachers: int, seed: int, rule: str, spread: float) -> None:
    """Trap 1: non-negative, sum to one, at most 1 / (M - 1) by equation 2."""
    logits, labels = draw(teachers, 5, 3, seed)
    weights = trust.label_weights(logits * spread, labels, rule=rule)
    assert bool((weights >= 0).all()) and torch.allclose(weights.sum(0), torch.ones(5, dtype=torch.float64))
    if rule == "ca_mkd" and teachers > 1:
        assert bool((weights <= 1 / (teachers - 1) + 1e-12).all())


@pytest.mark.parametrize("rule", RULES)
def test_one_teacher_gets_all_and_equal_ones_share_evenly(rule: str) -> None:
    logits, labels = draw(1, 5, 3)
    assert torch.equal(trust.label_weights(logits, labels, rule=rule), torch.ones(1, 5, dtype=torch.float64))
    four = trust.label_weights(logits.expand(4, 5, 3), labels, rule=rule)
    assert torch.allclose(four, torch.full((4, 5), 0.25, dtype=torch.float64), atol=1e-15)


@pytest.mark.parametrize("rule", RULES)
def test_permuting_teachers_or_renaming_classes_changes_nothing(rule: str) -> None:
    logits, labels = draw(4, 6, 5)
    weights = trust.label_weights(logits, labels, rule=rule)
    order, names = torch.tensor([2, 0, 3, 1]), torch.tensor([4, 2, 0, 1, 3])
    renamed = torch.empty_like(logits).index_copy_(-1, names, logits)
    assert torch.allclose(trust.label_weights(renamed[order], names[labels], rule=rule), weights[order], atol=1e-14)


@pytest.mark.parametrize("rule", RULES)
def test_finite_where_a_loss_is_huge_and_where_logits_are_saturated(rule: str) -> None:
    """Trap 7: the maximum is subtracted first; gradients are finite as well."""
    logits = torch.tensor([[[1e4, 0.0]], [[200.0, -200.0]], [[0.0, 0.0]]], requires_grad=True)
    weights = trust.label_weights(logits, torch.tensor([1]), rule=rule)
    assert bool(weights.isfinite().all()) and float(weights.sum().detach()) == pytest.approx(1)
    first, second, third = weights.flatten().tolist()
    assert third >= second >= first >= 0
    (weights * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("rule", RULES)
def test_who_does_not_answer_or_does_not_know_the_class_has_no_weight(rule: str) -> None:
    logits = torch.tensor([[[0.0, 1.0, 2.0]] * 3, [[0.0, 1.0, -INF]] * 3, [[2.0, 0.0, 0.0]] * 3, [[-INF] * 3] * 3])
    labels = torch.tensor([2, 0, 1])
    answered = torch.tensor([[True] * 3, [True] * 3, [True, False, False], [True] * 3])
    weights = trust.label_weights(logits, labels, answered, rule)
    assert weights[1, 0] == 0 and weights[2, 1:].tolist() == [0, 0] and weights[3].tolist() == [0, 0, 0]
    assert torch.allclose(weights.sum(0), torch.ones(3))
    others = trust.label_weights(logits[[0, 2]], labels, answered[[0, 2]], rule)
    assert torch.allclose(weights[[0, 2]][:, 0], others[:, 0])  # as if the silent were not there
    nobody = trust.label_weights(logits[1:2], torch.tensor([2, 2, 2]), rule=rule)
    assert torch.equal(nobody, torch.zeros(1, 3))


@pytest.mark.parametrize("rule", RULES)
def test_a_certain_distribution_is_a_label_and_no_label_is_no_reason(rule: str) -> None:
    logits, labels = draw(3, 6, 4)
    logits[1, :, 2] = -INF
    certain = torch.nn.functional.one_hot(labels, 4).double()
    by_label = trust.label_weights(logits, labels, rule=rule)
    assert torch.allclose(trust.label_weights(logits, certain, rule=rule), by_label, atol=1e-15)
    for unknown in (torch.full((6,), -1), torch.zeros(6, 4)):
        assert torch.allclose(trust.label_weights(logits, unknown, rule=rule), torch.full((3, 6), 1 / 3).double())


def test_the_loss_expected_under_a_posterior() -> None:
    logits, _ = draw(2, 1, 3)
    posterior = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    loss, heard = trust.label_loss(logits, posterior)
    for teacher in range(2):
        said = logits[teacher, 0].log_softmax(-1).tolist()
        assert float(loss[teacher]) == pytest.approx(-(0.5 * said[0] + 0.3 * said[1] + 0.2 * said[2]), rel=1e-14)
    assert torch.equal(heard, torch.ones(2, 1, dtype=torch.float64))
    logits[1, 0, 2] = -INF  # of the third class it says nothing, which is not no
    loss, heard = trust.label_loss(logits, posterior)
    said = logits[1, 0].log_softmax(-1).tolist()
    assert float(loss[1]) == pytest.approx(-(0.5 * said[0] + 0.3 * said[1]) / 0.8, rel=1e-14)
    assert heard[:, 0].tolist() == pytest.approx([1, 0.8])


def test_items_may_be_tokens() -> None:
    logits, labels = draw(3, 8, 5)
    flat = trust.label_weights(logits, labels)
    tokens = trust.label_weights(logits.reshape(3, 2, 4, 5), labels.reshape(2, 4))
    assert torch.equal(tokens, flat.reshape(3, 2, 4))


def test_tau_sharpens_and_must_be_positive() -> None:
    loss, heard = torch.tensor([[0.1], [1.0]]), torch.ones(2, 1)
    sharp, plain, flat = (trust.softmin_weights(loss, heard, tau)[0].item() for tau in (0.1, 1.0, 100.0))
    assert sharp > 0.99 > plain > flat > 0.5
    assert plain == pytest.approx(1 / (1 + math.exp(-0.9)), rel=1e-6)
    with pytest.raises(DataError, match="tau is 0"):
        trust.softmin_weights(loss, heard, 0)


def test_wrong_arguments_are_refused_in_a_sentence() -> None:
    logits, labels = draw(2, 4, 3)
    with pytest.raises(DataError, match=r"legal for these logits is \(4,\) int64, or probabilities \(4, 3\)"):
        trust.label_weights(logits, labels[:3])
    with pytest.raises(DataError, match=r"`answered` is \(4,\); legal is \(2, 4\)"):
        trust.label_weights(logits, labels, torch.ones(4, dtype=torch.bool))
    with pytest.raises(DataError, match="did you mean 'softmin'"):
        trust.label_weights(logits, labels, rule="softmim")

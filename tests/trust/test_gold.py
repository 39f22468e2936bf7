"""Cross-entropy with gold and the trust made of it."""

from __future__ import annotations

import math

import pytest
import torch

from distrust import trust
from distrust.errors import DataError

INF = math.inf


def test_golden_value_and_a_loop_in_every_shape() -> None:
    # logits 0, log 2, log 5: probabilities 1/8, 2/8, 5/8
    row = torch.tensor([0.0, math.log(2), math.log(5)], dtype=torch.float64)
    assert float(trust.cross_entropy(row.unsqueeze(0), torch.tensor([1]))) == pytest.approx(math.log(4), rel=1e-14)
    logits = torch.randn(3, 4, 2, 5, dtype=torch.float64)  # (M, B, L, C)
    labels = torch.randint(0, 5, (4, 2))
    values = trust.cross_entropy(logits, labels)
    assert values.shape == (3, 4, 2)
    for m in range(3):
        for b in range(4):
            for t in range(2):
                scores = logits[m, b, t].tolist()
                naive = math.log(sum(math.exp(one) for one in scores)) - scores[int(labels[b, t])]
                assert float(values[m, b, t]) == pytest.approx(naive, rel=1e-12)
    assert torch.equal(trust.cross_entropy(logits[1], labels), values[1])
    assert torch.equal(trust.cross_entropy(logits[:, 0, 0], labels[0, 0]), values[:, 0, 0])  # one item, M sources
    assert torch.allclose(trust.likelihood(logits, labels), (-values).exp())


def test_without_gold_it_is_nan_and_an_unknown_class_is_infinitely_surprising() -> None:
    logits = torch.tensor([[0.0, 0.0, -INF], [0.0, 0.0, -INF], [0.0, 0.0, -INF]])
    measure = trust.cross_entropy(logits, torch.tensor([-1, 2, 0]))
    assert math.isnan(measure[0]) and measure[1] == INF and float(measure[2]) == pytest.approx(math.log(2))
    believed = trust.likelihood(logits, torch.tensor([-1, 2, 0]))
    assert math.isnan(believed[0]) and believed[1:].tolist() == pytest.approx([0, 0.5])


def test_classes_and_sources_may_be_permuted() -> None:
    logits, labels = torch.randn(3, 6, 4), torch.randint(0, 4, (6,))
    names = torch.tensor([2, 0, 3, 1])
    renamed = torch.empty_like(logits).index_copy_(-1, names, logits)
    assert torch.allclose(
        trust.cross_entropy(renamed[[2, 0, 1]], names[labels]), trust.cross_entropy(logits, labels)[[2, 0, 1]]
    )


@pytest.mark.parametrize("scale", [200.0, 1e4])
def test_saturated_logits_have_finite_values_and_gradients(scale: float) -> None:
    logits = torch.tensor([[scale, -scale, 0.0], [-INF, 0.0, scale]], requires_grad=True)
    value = trust.cross_entropy(logits, torch.tensor([1, 1]))
    assert value.tolist() == [2 * scale, scale]
    value.sum().backward()
    assert logits.grad is not None and logits.grad.tolist() == [[1, -1, 0], [0, -1, 1]]


def test_one_class_is_no_surprise_and_no_items_have_none() -> None:
    assert float(trust.cross_entropy(torch.tensor([[3.0]]), torch.tensor([0]))) == 0
    assert trust.cross_entropy(torch.zeros(2, 0, 3), torch.zeros(0, dtype=torch.long)).shape == (2, 0)


@pytest.mark.parametrize(("logits", "labels"), [((4, 3), (3,)), ((4, 3), (2, 4)), ((2, 4, 3), (2,)), ((3,), (1,))])
def test_labels_of_another_shape_are_refused(logits: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"do not fit logits .* legal is \(items,\)"):
        trust.cross_entropy(torch.zeros(logits), torch.zeros(labels, dtype=torch.long))

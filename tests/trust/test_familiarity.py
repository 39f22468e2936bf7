"""Energy, largest logit, neighbours and Mahalanobis distance, each against its definition by loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.trust import familiarity
from distrust.trust.adequacy import soft_choice
from distrust.trust.familiarity import energy, mahalanobis, max_logit, neighbours


def drawn(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_energy_is_its_sum_and_its_softmax_is_that_of_all_logits_side_by_side() -> None:
    logits = 5 * drawn(4, 3)
    for t in (0.5, 1.0, 3.0):
        wanted = [t * math.log(sum(math.exp(z / t) for z in row)) for row in logits.tolist()]
        assert energy(logits, t).tolist() == pytest.approx(wanted)
    other = 5 * drawn(4, 2, seed=1)
    together = torch.cat([logits, other], -1).softmax(-1)
    weights = soft_choice(torch.stack([energy(logits), energy(other)]), 1.0)
    apart = torch.cat([weights[0, :, None] * logits.softmax(-1), weights[1, :, None] * other.softmax(-1)], -1)
    torch.testing.assert_close(apart, together)


def test_saturated_and_silent_rows() -> None:
    logits = torch.tensor([[1e30, 0.0], [-torch.inf, 2.0], [-torch.inf, -torch.inf]])
    assert energy(logits).tolist() == [pytest.approx(1e30), 2.0, -math.inf]
    assert max_logit(logits).tolist() == [pytest.approx(1e30), 2.0, -math.inf]


def test_neighbours_are_those_of_a_loop_and_never_the_item_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    features, reference = drawn(7, 4), drawn(5, 4, seed=1)

    def far(one: Tensor, others: list[Tensor], k: int) -> float:
        apart = sorted(float((one / one.norm() - other / other.norm()).norm()) for other in others)
        return -apart[min(k, len(apart)) - 1]

    for k in (1, 3, 9):
        wanted = [far(one, list(reference), k) for one in features]
        assert neighbours(features, reference, k).tolist() == pytest.approx(wanted)
    monkeypatch.setattr(familiarity, "CHUNK", 10)
    assert neighbours(features, reference, 3).tolist() == pytest.approx([far(one, list(reference), 3) for one in features])
    own = neighbours(reference, reference, 1, torch.arange(5))
    wanted = [
        far(one, [other for place, other in enumerate(reference) if place != row], 1) for row, one in enumerate(reference)
    ]
    assert own.tolist() == pytest.approx(wanted) and neighbours(reference, reference, 1).abs().max() < 1e-6


def test_mahalanobis_is_its_definition_where_the_reference_is_large() -> None:
    labels = torch.arange(4000) % 2
    stretch = torch.tensor([[3.0, 0.0], [1.0, 0.5]], dtype=torch.double)
    reference = drawn(4000, 2) @ stretch + 10 * labels.unsqueeze(-1)
    items = drawn(6, 2, seed=3) * 5
    means = [reference[labels == one].mean(0) for one in (0, 1)]
    inner = torch.cat([reference[labels == one] - means[one] for one in (0, 1)])
    inverse = torch.linalg.inv(inner.T @ inner / 4000)
    wanted = [-min(float((one - mean) @ inverse @ (one - mean)) for mean in means) for one in items]
    assert mahalanobis(items, reference, 5 * labels).tolist() == pytest.approx(wanted, rel=0.03)


def test_mahalanobis_of_a_few_items_in_many_dimensions_is_finite_and_orders() -> None:
    reference = torch.cat([drawn(3, 20), drawn(3, 20, seed=1) + 4])
    found = mahalanobis(torch.stack([reference[0], reference[0] + 9]), reference, torch.tensor([0, 0, 0, 1, 1, 1]))
    assert bool(found.isfinite().all()) and found[0] > found[1]
    assert bool(mahalanobis(reference, reference[:1], torch.zeros(1, dtype=torch.long)).isfinite().all())


def test_mistakes_are_sentences() -> None:
    with pytest.raises(DataError, match="temperature is 0"):
        energy(torch.zeros(1, 2), 0)
    with pytest.raises(DataError, match="0 reference items"):
        neighbours(torch.zeros(1, 2), torch.zeros(0, 2))
    with pytest.raises(DataError, match="0 neighbours"):
        neighbours(torch.zeros(1, 2), torch.zeros(1, 2), 0)
    with pytest.raises(DataError, match="3 labels for 2 reference items"):
        mahalanobis(torch.zeros(1, 2), torch.zeros(2, 2), torch.zeros(3, dtype=torch.long))

"""The plain logit: a penalised fit, "none of these" a counted share, and the order of items tells nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from distrust.errors import DataError
from distrust.trust.panel_logit import RIDGES, SCALES, conditional_logit, listed
from distrust.trust.panel_rows import rows_of
from tests.trust.panel_world import world


def test_the_weights_are_the_fit_of_one_of_the_priors() -> None:
    """A naive gradient of the penalised likelihood is zero for one scale and ridge, and for that alone."""
    evidence, gold = world(30)
    rows, weights = rows_of(evidence), conditional_logit(evidence, gold).weights
    spoke, right, slope = np.zeros(9), np.zeros(9), np.zeros(9)
    for item in range(30):
        if int(gold[item]) == int(rows.column.max()):
            continue
        at = [row for row in range(len(rows.item)) if rows.item[row] == item and not rows.none[row]]
        scores = [math.exp(sum(rows.votes[row, m] * weights[m] for m in range(9))) for row in at]
        for row, score in zip(at, scores, strict=True):
            hit = float(rows.column[row] == gold[item])
            spoke += rows.votes[row]
            right += rows.votes[row] * hit
            slope += rows.votes[row] * (score / sum(scores) - hit)
    prior = np.log((right + 1) / (spoke + 2)) - np.log(1 - (right + 1) / (spoke + 2))
    steep = [abs(slope + ridge * (weights - scale * prior)).max() for scale in SCALES for ridge in RIDGES]
    assert sorted(steep)[0] < 1e-3 < 1e-2 < sorted(steep)[1]


def test_none_of_these_is_its_share_of_gold_for_every_item() -> None:
    evidence, gold = world(30)
    last = len(evidence[0].space) - 1
    gold[20:] = -1
    gold[:3] = last
    known = int(((gold >= 0) & (gold < last)).sum())
    assert listed(rows_of(evidence), gold.numpy()).tolist() == [row for row in range(20) if int(gold[row]) < last]
    fitted = conditional_logit(evidence, gold)
    assert fitted.none == pytest.approx((20 - known + 0.5) / 21)
    chances = fitted.posterior(evidence)
    torch.testing.assert_close(chances[:, -1], torch.full((30,), fitted.none, dtype=torch.float64))
    torch.testing.assert_close(chances.sum(-1), torch.ones(30, dtype=torch.float64))


def test_items_in_another_order_are_the_same_logit() -> None:
    evidence, gold = world(30)
    back = list(range(29, -1, -1))
    turned = conditional_logit([one.select(back) for one in evidence], gold[back])
    np.testing.assert_allclose(turned.weights, conditional_logit(evidence, gold).weights, atol=1e-6)


def test_nine_items_of_a_listed_candidate_are_too_few() -> None:
    evidence, gold = world(30)
    last = len(evidence[0].space) - 1
    places = listed(rows_of(evidence), gold.numpy())
    gold[places[9:]] = last  # gold it is, and of no listed candidate
    with pytest.raises(DataError, match="9 items are too few, legal is 10"):
        conditional_logit(evidence, gold)

"""The pool's logit: its prior alone, features column by column, and gold that moves it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrust.errors import DataError
from distrust.trust.panel_pooled import GAP, hints_of, members_of, pooled
from distrust.trust.panel_rows import rows_of
from tests.trust.panel_world import GROUPS, world


def test_without_gold_the_prior_says_the_pools_gap() -> None:
    """By a loop: the mean distance between an item's two best candidates is GAP, whoever is in the panel."""
    evidence, gold = world(80)
    rows = rows_of(evidence)
    fitted = pooled(rows, np.full(len(gold), -1), (), None)
    score = np.log(fitted.chances(rows, None))
    gaps = []
    for item in range(len(gold)):
        listed = sorted(score[(rows.item == item) & ~rows.none])
        if len(listed) > 1:
            gaps.append(listed[-1] - listed[-2])
    assert np.mean(gaps) == pytest.approx(GAP)


def test_gold_moves_the_weight_of_a_teacher_that_errs() -> None:
    evidence, gold = world(200)
    rows, members = rows_of(evidence), members_of(GROUPS, len(evidence))
    labels = np.where(np.arange(200) < 100, gold.numpy(), -1)
    loss = []
    for known in (np.full(200, -1), labels):
        chances = pooled(rows, known, members, None).chances(rows, None)
        held = rows.target(np.where(np.arange(200) < 100, -1, gold.numpy()))
        loss.append(-float(held @ np.log(chances)) / 100)
        np.testing.assert_allclose(rows.sums(chances), 1)
    assert loss[1] < loss[0] - 0.1


def test_groups_and_hints_that_do_not_fit_are_refused() -> None:
    evidence, _ = world(20)
    rows = rows_of(evidence)
    assert hints_of(None, rows) is None and members_of(None, 9) == ()
    (model,) = members_of(GROUPS, 9)
    assert model.shape == (9, len(set(GROUPS["model"]))) and bool((model.sum(1) == 1).all())
    with pytest.raises(DataError, match="names 2 groups; legal is one a teacher, 9"):
        members_of({"model": ["a", "b"]}, 9)
    with pytest.raises(DataError, match=r"Hints are \(9, 19\); legal is \(9, 20\)"):
        hints_of(torch.zeros(9, 19), rows)

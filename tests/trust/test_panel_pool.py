"""A panel's claims alone: EM with one accuracy a teacher against a naive loop, and what one vote is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from distrust.evidence import Evidence
from distrust.labels import Candidates
from distrust.trust.panel_pool import chance, logit, one_coin, worth
from distrust.trust.panel_rows import rows_of
from tests.trust.panel_world import world

SPACE = Candidates((("3", "4", "5"), ("7",), ()))


def test_one_coin_matches_a_naive_loop() -> None:
    evidence, gold = world(12)
    gold[4:] = -1
    rows = rows_of(evidence)
    posterior, accuracy = one_coin(rows, rows.target(gold.numpy()), np.ones(9))
    items = [[row for row in range(len(rows.item)) if rows.item[row] == item] for item in range(12)]
    belief = {}
    for at in items:
        total = sum(rows.votes[row].sum() for row in at)
        belief |= {row: rows.votes[row].sum() / total for row in at}
    for _ in range(25):
        for item, at in enumerate(items):
            if gold[item] >= 0:
                belief |= {row: float(rows.column[row] == gold[item]) for row in at}
        found = []
        for m in range(9):
            agreed = sum(
                (5 if gold[item] >= 0 else 1) * belief[row] * rows.votes[row, m]
                for item, at in enumerate(items)
                for row in at
            )
            asked = sum((5 if gold[item] >= 0 else 1) * rows.votes[row, m] for item, at in enumerate(items) for row in at)
            found.append(min(max((agreed + 1.4) / (asked + 2), 0.02), 0.98))
        for at in items:
            listed = [row for row in at if not rows.none[row]]
            odds = [math.log(found[m] / (1 - found[m])) + math.log(max(len(listed) - 1, 1)) for m in range(9)]
            scores = [-60 if rows.none[row] else sum(rows.votes[row, m] * max(odds[m], 0) for m in range(9)) for row in at]
            total = sum(math.exp(score) for score in scores)
            belief |= {row: math.exp(score) / total for row, score in zip(at, scores, strict=True)}
    np.testing.assert_allclose(accuracy, found, atol=1e-9)
    free = [row for row in range(len(rows.item)) if gold[rows.item[row]] < 0]
    np.testing.assert_allclose(posterior[free], [belief[row] for row in free], atol=1e-9)


def test_a_vote_for_one_of_many_says_more_and_never_less_than_nothing() -> None:
    odds = chance(rows_of([Evidence("one", ("a", "b", "c"), SPACE, torch.tensor([[0, 0, -1]]))]))
    np.testing.assert_allclose(odds, [math.log(2)] * 4 + [0, 0] + [0], atol=1e-12)  # two, none and no wrong candidates
    found = worth(np.array([0.8, 0.4, 0.1]), odds)
    np.testing.assert_allclose(found[0], [math.log(4 * 2), math.log(2 / 3 * 2), 0], atol=1e-12)
    np.testing.assert_allclose(found[-1], [math.log(4), 0, 0], atol=1e-12)
    assert logit(np.array([0.8]))[0] == pytest.approx(math.log(4))


def test_copies_that_share_a_say_count_as_one() -> None:
    evidence, _ = world(40)
    copies = [evidence[0], *(Evidence(f"{m}", evidence[0].ids, evidence[0].space, evidence[3].claims) for m in range(4))]
    apart, together = rows_of(copies[:2]), rows_of(copies)
    nothing = np.zeros(len(apart.item))
    alone, accuracy = one_coin(apart, nothing, np.ones(2))
    shared, accuracies = one_coin(together, nothing, np.array([1, 0.25, 0.25, 0.25, 0.25]))
    np.testing.assert_allclose(shared, alone, atol=1e-9)
    np.testing.assert_allclose(accuracies, accuracy[[0, 1, 1, 1, 1]], atol=1e-9)
    loud, _ = one_coin(together, nothing, np.ones(5))
    assert abs(loud - alone).max() > 0.1

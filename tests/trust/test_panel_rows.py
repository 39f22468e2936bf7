"""Rows and the conditional logit: against a naive double-precision loop, and against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import Candidates, LabelSpace
from distrust.trust.panel_rows import check_gold, fit_logit, rows_of
from tests.trust.panel_world import world

SPACE = Candidates((("3", "4"), ("7",), ()))
ONE = Evidence("one", ("a", "b", "c"), SPACE, torch.tensor([[0, 0, -1], [0, -1, -1], [1, 2, -1]]))
TWO = Evidence("two", ("a", "b", "c"), SPACE, torch.tensor([[1, 2, -1]]))


def test_rows_are_candidates_with_none_of_these_last() -> None:
    rows = rows_of([ONE, TWO])
    assert rows.item.tolist() == [0, 0, 0, 1, 1, 2]
    assert rows.column.tolist() == [0, 1, 2, 0, 2, 2]
    assert rows.none.tolist() == [False, False, True, False, True, True]
    assert rows.start.tolist() == [0, 3, 5]
    np.testing.assert_allclose(rows.votes, [[2 / 3, 0], [1 / 3, 1], [0, 0], [0.5, 0], [0.5, 1], [0, 0]])


def test_rows_of_some_items_are_those_items_rows() -> None:
    some, at = rows_of([ONE, TWO]).of(np.array([2, 0]))
    assert at.tolist() == [5, 0, 1, 2] and some.item.tolist() == [0, 1, 1, 1] and some.start.tolist() == [0, 1]


def test_log_softmax_is_over_an_items_own_candidates() -> None:
    logp = rows_of([ONE, TWO]).log_softmax(np.array([0.0, 1.0, -1.0, 800.0, 0.0, 5.0]))
    total = math.log(1 + math.e + 1 / math.e)
    np.testing.assert_allclose(logp, [-total, 1 - total, -1 - total, 0, -800, 0], atol=1e-12)


def test_the_fit_is_where_a_naive_gradient_is_zero() -> None:
    evidence, gold = world(40)
    rows = rows_of(evidence)
    target = rows.target(gold.numpy())
    mean, precision = np.full(9, 0.3), np.linspace(0.5, 3, 9)
    weights, _ = fit_logit(rows, rows.votes, target, mean, precision, mean)
    gradient = precision * (weights - mean)
    for item in range(40):
        at = [row for row in range(len(rows.item)) if rows.item[row] == item]
        scores = [math.exp(sum(rows.votes[row, m] * weights[m] for m in range(9))) for row in at]
        for row, score in zip(at, scores, strict=True):
            gradient += rows.votes[row] * (score / sum(scores) - target[row])
    np.testing.assert_allclose(gradient, 0, atol=1e-3)


def test_the_evidence_is_the_integral() -> None:
    """One weight: Laplace's approximation beside a fine sum over the prior."""
    evidence, gold = world(60)
    rows = rows_of(evidence)
    feature = rows.votes.sum(1, keepdims=True)
    target, mean, precision = rows.target(gold.numpy()), np.zeros(1), np.full(1, 2.0)
    _, nats = fit_logit(rows, feature, target, mean, precision, mean)
    grid = np.linspace(-3, 3, 20001)
    logs = [target @ rows.log_softmax(feature[:, 0] * one) - one**2 + 0.5 * math.log(2 / (2 * math.pi)) for one in grid]
    exact = max(logs) + math.log(np.exp(np.array(logs) - max(logs)).sum() * (grid[1] - grid[0]))
    assert nats == pytest.approx(exact, abs=0.01)


def test_evidence_that_cannot_be_weighed_is_refused() -> None:
    closed = Evidence("closed", ("a",), LabelSpace(("yes", "no")), torch.tensor([[0]]))
    with pytest.raises(DataError, match="closed label space"):
        rows_of([closed])
    with pytest.raises(DataError, match="at least one teacher"):
        rows_of([])
    with pytest.raises(DataError, match="two and one differ"):
        rows_of([ONE, TWO.select([0, 1])])
    with pytest.raises(DataError, match="legal is \\(3,\\) int64"):
        check_gold(torch.tensor([0]), [ONE])
    with pytest.raises(DataError, match="does not list"):
        check_gold(torch.tensor([0, 1, -1]), [ONE])

"""A numpy table in scikit-learn's manner."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
import torch

from distrust.errors import DataError
from distrust.trust import ESTIMATORS, DawidSkene, Table, TrustModel, estimators
from tests.trust.tables import table


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_numpy_table_gives_what_a_table_gives(name: str) -> None:
    given, labels = table()
    gold = np.full(60, -1)
    gold[given.gold_rows.numpy()] = given.gold_labels.numpy()
    before = given.claims.clone()
    model = TrustModel(name).fit(given.claims.T.numpy(), gold)
    in_order = given.gold_rows.sort().values
    plain = ESTIMATORS[name].fit(Table(given.claims, 3, in_order, labels[in_order])).posterior(given.claims)
    np.testing.assert_array_equal(model.predict_proba(given.claims.T.numpy()), plain.double().numpy())
    assert model.predict(given.claims.T.numpy()).tolist() == plain.argmax(-1).tolist()
    assert model.classes_.tolist() == [0, 1, 2] and torch.equal(given.claims, before)


def test_an_estimator_with_options_will_do_and_no_gold_too() -> None:
    votes = table()[0].claims.T.numpy()
    one, two = (TrustModel(DawidSkene(shrinkage=s)).fit(votes).predict_proba(votes) for s in (0.5, 20.0))
    assert not np.allclose(one, two)
    assert TrustModel().fit(votes, classes=5).predict_proba(votes).shape == (60, 5)


@pytest.mark.parametrize(
    ("X", "y", "sentence"),
    [
        (np.zeros(3, int), None, r"X is \(3,\) int64; legal is \(items, annotators\)"),
        (np.zeros((3, 2)), None, "whole numbers, -1 for no answer"),
        ([["a", "b"]], None, "whole numbers"),
        (np.zeros((3, 2), int), [0, 1], "y has 2 items and X 3"),
        (np.zeros((3, 2), int), [0, 1, -2], "y a number below -1"),
        (np.zeros((3, 2), int) - 2, None, "outside the"),
        (np.zeros((3, 0), int), None, "X holds no answer"),
        (np.zeros((3, 2), int), [0.0, 1.0, np.nan], "y is"),
    ],
)
def test_what_is_no_table_is_refused(X: Any, y: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        TrustModel("majority").fit(X, y)


def test_before_fit_it_says_so() -> None:
    with pytest.raises(DataError, match=r"call fit\(X, y\) first"):
        TrustModel().predict(np.zeros((1, 1), int))
    with pytest.raises(DataError, match="did you mean 'majority'"):
        TrustModel("majorty").fit(np.zeros((1, 1), int))


def test_the_example_runs() -> None:
    assert doctest.testmod(estimators, extraglobs={"np": np}).failed == 0

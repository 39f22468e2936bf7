"""Which estimators there are, by name, and the same for a numpy table in scikit-learn's manner.

Knows names. What each does is in its own file; files of fitted trust are `artefact.py`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from distrust.errors import DataError, nearest
from distrust.trust.auto import Auto
from distrust.trust.confusions import Confusions, DawidSkene
from distrust.trust.ebcc import Ebcc
from distrust.trust.table import Estimator, Fitted, Table
from distrust.trust.voting import Majority, Stacking, WeightedVote

ESTIMATORS: dict[str, Estimator] = {
    "auto": Auto(),
    "majority": Majority(),
    "dawid-skene": DawidSkene(),
    "ebcc": Ebcc(),
    "confusions": Confusions(),
    "weighted-vote": WeightedVote(),
    "stacking": Stacking(),
}


def find(name: str) -> Estimator:
    """An estimator with its default options. Raises DataError naming the nearest where there is none."""
    if name not in ESTIMATORS:
        raise DataError(f"There is no trust estimator {name!r}; {nearest(name, ESTIMATORS)}.")
    return ESTIMATORS[name]


class TrustModel:
    """Trust in the columns of a numpy table, with scikit-learn's words.

    Args:
        estimator: a name (``"auto"``, ``"dawid-skene"``, ...) or an `Estimator` with options of its own.

    Example:
        >>> table = np.array([[0, 0, 1], [1, 1, -1], [0, 0, 0], [1, 0, 1]])  # items by annotators, -1: no answer
        >>> TrustModel("majority").fit(table).predict(table)
        array([0, 1, 0, 1])
    """

    def __init__(self, estimator: str | Estimator = "auto") -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any = None, *, classes: int | None = None) -> TrustModel:
        """Fit on a table.

        Args:
            X: (items, annotators) whole numbers, classes 0 to C - 1; -1 where an annotator gave no answer.
            y: (items,) gold classes, -1 where there is no gold; None: no gold at all.
            classes: C; default: one more than the largest number seen.

        Raises:
            DataError: a table that is not that, or no gold where the estimator needs some.
        """
        claims = _whole(X, 2, "X").T.contiguous()
        gold = torch.full((claims.shape[1],), -1) if y is None else _whole(y, 1, "y")
        if len(gold) != claims.shape[1]:
            raise DataError(f"y has {len(gold)} items and X {claims.shape[1]}; give -1 where there is no gold.")
        if not claims.numel() or bool((gold < -1).any()):
            raise DataError("X holds no answer, or y a number below -1; legal are classes from 0, and -1 for none.")
        size = int(max(claims.max(), gold.max())) + 1 if classes is None else classes
        rows = (gold >= 0).nonzero().squeeze(-1)
        self.fitted_: Fitted = self._rule().fit(Table(claims, size, rows, gold[rows]))
        self.classes_ = np.arange(size)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Chances of each class: (items, annotators) to (items, C). Raises DataError before `fit`."""
        if not hasattr(self, "fitted_"):
            raise DataError("This TrustModel is not fitted yet; call fit(X, y) first.")
        chances: np.ndarray = self.fitted_.posterior(_whole(X, 2, "X").T.contiguous()).double().numpy()
        return chances

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each item, the first of equals: (items, annotators) to (items,)."""
        likeliest: np.ndarray = self.predict_proba(X).argmax(-1)
        return likeliest

    def _rule(self) -> Estimator:
        return find(self.estimator) if isinstance(self.estimator, str) else self.estimator


def _whole(values: Any, dimensions: int, name: str) -> torch.Tensor:
    array = np.asarray(values)
    if array.ndim != dimensions or array.dtype.kind not in "iu":
        legal = "(items, annotators)" if dimensions == 2 else "(items,)"
        raise DataError(f"{name} is {array.shape} {array.dtype}; legal is {legal} whole numbers, -1 for no answer.")
    return torch.from_numpy(array.astype(np.int64))

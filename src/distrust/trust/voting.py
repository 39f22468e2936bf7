"""Votes: everybody alike, one weight a teacher, or a weight a teacher and claim.

Knows a label table; the weights are fitted on gold by penalised log-likelihood, a convex problem with one answer.
Needs no independence of the teachers: copies share one teacher's weight. Knows nothing of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from distrust.combine import normalise, weighted_mean
from distrust.errors import DataError
from distrust.trust.table import Table, check_claims, check_probabilities, indicators, need_gold

DOUBT = 0.3  # share of a bare vote that is spread over all classes: at weight 1 a teacher is right on 70 % and by luck
FLOOR = 0.01  # the same share of a stated distribution: a certain mistake must stay finite


@dataclass(frozen=True)
class Shares:
    """Majority, fitted: which classes each teacher knows, (M, C) bool."""

    known: Tensor

    def posterior(self, claims: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """Share of the votes, with one more that is spread over all classes: (M, B) to (B, C)."""
        classes = self.known.shape[1]
        check_claims(claims, len(self.known), classes)
        answered = claims >= 0
        share = weighted_mean(indicators(claims, classes), normalise(answered.double(), answered), self.known)
        spoke = answered.sum(0).unsqueeze(-1)  # (B, 1)
        return (share * spoke + 1 / classes) / (spoke + 1)


@dataclass(frozen=True)
class Majority:
    """Believe all who answered alike."""

    needs_gold = False

    def fit(self, table: Table) -> Shares:
        """Nothing is fitted but who knows which class."""
        return Shares(_known(table))


@dataclass(frozen=True)
class Linear:
    """Weighted votes, fitted: log-chances are prior + Σ_m weights[m]·f_m + tables[m][claim].

    f_m is log(C_m·q) for the C_m classes a teacher knows, q its vote (or distribution) with a little doubt spread over
    them, and 0 elsewhere: of a class it does not know it says as much as if it knew nothing.
    """

    weights: Tensor  # (M,)
    tables: Tensor  # (M, C, C): what claim j adds to class c; zeros for a plain weighted vote
    prior: Tensor  # (C,)
    known: Tensor  # (M, C) bool
    soft: bool  # fitted on probabilities

    def posterior(self, claims: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """As `Fitted.posterior`."""
        check_claims(claims, len(self.weights), len(self.prior))
        if self.soft and probabilities is None:
            raise DataError("This trust was fitted on the teachers' probabilities; give them beside the claims.")
        if probabilities is not None:
            check_probabilities(probabilities, claims, len(self.prior))
        said, scores = _features(claims, probabilities if self.soft else None, self.known)
        weighted = torch.einsum("m,mnc->nc", self.weights, scores) + torch.einsum("mnj,mjc->nc", said, self.tables)
        return (self.prior + weighted).softmax(-1)


@dataclass(frozen=True)
class WeightedVote:
    """One weight a teacher, by logistic regression on gold, drawn towards their common weight and that towards 1.

    Args:
        ridge: penalty on each weight's distance to the mean weight, in nats at distance √2.
    """

    ridge: float = 1.0
    needs_gold = True

    def fit(self, table: Table) -> Linear:
        """Fit on gold. Raises DataError without gold."""
        need_gold(table, "weighted-vote")
        return _fit(table, soft=False, ridge=self.ridge, tables=math.inf)


@dataclass(frozen=True)
class Stacking:
    """Ridge-penalised multinomial regression on gold: a weight a teacher, and what each of its claims says of each class.

    On the teachers' log-probabilities where the table holds probabilities, else on votes. Source: Wolpert 1992.

    Args:
        ridge: penalty on each weight's distance to the mean weight.
        tables: penalty on each entry of the tables and of the prior.
    """

    ridge: float = 1.0
    tables: float = 1.0
    needs_gold = True

    def fit(self, table: Table) -> Linear:
        """Fit on gold. Raises DataError without gold."""
        need_gold(table, "stacking")
        return _fit(table, table.probabilities is not None, self.ridge, self.tables)


def _known(table: Table) -> Tensor:
    every = torch.ones(len(table.claims), table.classes, dtype=torch.bool)
    return every if table.known is None else table.known


def _features(claims: Tensor, probabilities: Tensor | None, known: Tensor) -> tuple[Tensor, Tensor]:
    """What was said (M, N, C), rows of zeros where nothing was, and its score f (M, N, C); see `Linear`."""
    said = indicators(claims, known.shape[1]) if probabilities is None else probabilities.double()
    doubt = DOUBT if probabilities is None else FLOOR
    size = known.sum(-1).double().reshape(-1, 1, 1)
    scores = ((1 - doubt) * said * size + doubt).log()
    spoke = (said.sum(-1) > 0).unsqueeze(-1)
    return said, torch.where(spoke & known.unsqueeze(1), scores, 0.0)


def _fit(table: Table, soft: bool, ridge: float, tables: float) -> Linear:
    """Minimise the log-loss on gold plus penalties, by L-BFGS with the gradient written out."""
    rows = table.gold_rows
    known = _known(table)
    chances = table.probabilities[:, rows] if soft and table.probabilities is not None else None
    said, scores = (one.numpy() for one in _features(table.gold_claims, chances, known))
    teachers, items, classes = scores.shape
    gold = np.eye(classes)[table.gold_labels.numpy()]  # (n, C)
    plain = math.isinf(tables)
    flat = said.transpose(1, 0, 2).reshape(items, -1)  # (n, M·C)

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weights, rest = x[:teachers], x[teachers:]
        if plain:
            return weights, np.zeros((teachers * classes, classes)), np.zeros(classes)
        return weights, rest[classes:].reshape(-1, classes), rest[:classes]

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        weights, table_, prior = parts(x)
        z = prior + np.einsum("m,mnc->nc", weights, scores) + flat @ table_
        z = z - z.max(1, keepdims=True)
        chance = np.exp(z)
        total = chance.sum(1, keepdims=True)
        wrong = chance / total - gold  # (n, C)
        mean = weights.mean()
        away = weights - mean
        value = float((np.log(total[:, 0]) - (z * gold).sum(1)).sum())
        value += 0.5 * ridge * float(away @ away) + 0.5 * (mean - 1) ** 2
        gradient = np.einsum("mnc,nc->m", scores, wrong) + ridge * away + (mean - 1) / teachers
        if plain:
            return value, gradient
        value += 0.5 * tables * float((table_**2).sum() + (prior**2).sum())
        return value, np.concatenate([gradient, wrong.sum(0) + tables * prior, (flat.T @ wrong + tables * table_).ravel()])

    start = np.concatenate([np.ones(teachers), np.zeros(0 if plain else classes + teachers * classes**2)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-7})
    weights, table_, prior = (torch.from_numpy(one.copy()) for one in parts(found.x))
    return Linear(weights, table_.reshape(teachers, classes, classes), prior, known, soft)

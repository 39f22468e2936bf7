"""A panel's claims as rows, one a candidate of an item, and the conditional logit over them.

Knows votes, a softmax over each item's own candidates, its penalised fit and its marginal likelihood. Does not know what
a column of features means. Plain numpy in double precision: B items, R rows, M teachers, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import ABSTAIN, Candidates

Array = NDArray[np.float64]
Labels = NDArray[np.int64]  # (B,) gold claims, -1 where there is none
NEWTON_STEPS, ENOUGH = 40, 1e-7


@dataclass(frozen=True)
class Rows:
    """Every item's candidates, item by item, "none of these" last."""

    item: NDArray[np.int64]  # (R,) row of the item
    column: NDArray[np.int64]  # (R,) the candidate's claim
    none: NDArray[np.bool_]  # (R,)
    start: NDArray[np.int64]  # (B,) first row of an item
    votes: Array  # (R, M) share of a teacher's samples that claim it

    def log_softmax(self, score: Array) -> Array:
        """Log-probabilities over each item's candidates: (R,) to (R,)."""
        top = np.maximum.reduceat(score, self.start)
        total = np.add.reduceat(np.exp(score - top[self.item]), self.start)
        return np.asarray(score - (top + np.log(total))[self.item])

    def sums(self, values: Array) -> Array:
        """Sums over each item's rows: (R, ...) to (B, ...)."""
        return np.asarray(np.add.reduceat(values, self.start, axis=0))

    def target(self, gold: Labels) -> Array:
        """One-hot gold (R,) of claims (B,); rows of items without gold are zero."""
        return np.asarray(gold[self.item] == self.column, dtype=np.float64)

    def of(self, items: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int64]]:
        """The rows of some items, in the order given, and where they stood, (r,)."""
        sizes = np.diff(np.append(self.start, len(self.item)))[items]
        first = np.cumsum(sizes) - sizes
        item = np.repeat(np.arange(len(items)), sizes)
        at = np.arange(len(item)) - first[item] + self.start[items][item]
        return Rows(item, self.column[at], self.none[at], first, self.votes[at]), at


def rows_of(evidence: Sequence[Evidence]) -> Rows:
    """The claims of M teachers on the same items, in the same candidates, as rows.

    Raises:
        DataError: no evidence or no item, a closed label space, or teachers that differ in items or candidates.
    """
    if not evidence or not len(evidence[0]):
        raise DataError("There is no evidence to weigh; at least one teacher and one item are needed.")
    space = evidence[0].space
    if not isinstance(space, Candidates):
        raise DataError(f"{evidence[0].source} answers in a closed label space; a panel weighs open candidates.")
    for one in evidence[1:]:
        if one.ids != evidence[0].ids or one.space != space:
            raise DataError(f"{one.source} and {evidence[0].source} differ in items or candidates; read them together.")
    item, column = np.nonzero(space.mask.numpy())
    votes = np.stack([_votes(one.claims.numpy(), item, column) for one in evidence], axis=1)
    return Rows(item, column, column == space.none_of_these, np.searchsorted(item, np.arange(len(evidence[0]))), votes)


def _votes(claims: NDArray[np.int64], item: NDArray[np.int64], column: NDArray[np.int64]) -> Array:
    spoke = np.maximum((claims != ABSTAIN).sum(0), 1)  # (B,) samples that gave an answer
    return np.asarray((claims[:, item] == column).sum(0) / spoke[item])


def check_gold(gold: Tensor, evidence: Sequence[Evidence]) -> Labels:
    """Gold claims (B,) as numpy. Raises DataError where they do not fit the items or their candidates."""
    space, items = evidence[0].space, len(evidence[0])
    if gold.shape != (items,) or gold.dtype != torch.long:
        raise DataError(f"Gold is {tuple(gold.shape)} {gold.dtype}; legal is ({items},) int64, -1 where there is none.")
    Evidence("gold", evidence[0].ids, space, gold.unsqueeze(0))  # refuses a claim that its item does not list
    return np.asarray(gold.numpy())


def fit_logit(
    rows: Rows, features: Array, target: Array, mean: Array, precision: Array, start: Array
) -> tuple[Array, float]:
    """Maximum a posteriori weights of a conditional logit, by Newton's method with halved steps.

    Args:
        rows: of the gold items; features (R, F); target (R,) sums to one an item.
        mean, precision: (F,) of the normal prior of the weights, precision > 0.
        start: (F,) where to begin.

    Returns:
        The weights (F,) and the log marginal likelihood in nats (Laplace's approximation at them).

    Source: McFadden 1974 (conditional logit); MacKay 1992, Bayesian interpolation, equation 2.20 (evidence).
    """
    weights, goal = start.copy(), target @ features

    def loss(at: Array) -> tuple[float, Array]:
        logp = rows.log_softmax(features @ at)
        return float(-target @ logp + 0.5 * precision @ (at - mean) ** 2), logp

    value, logp = loss(weights)
    for _ in range(NEWTON_STEPS):
        chance = np.exp(logp)[:, None] * features  # (R, F)
        expected = rows.sums(chance)  # (B, F)
        gradient = expected.sum(0) - goal + precision * (weights - mean)
        hessian = chance.T @ features - expected.T @ expected + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        if gradient @ step < ENOUGH:
            break
        size, (new, new_logp) = 1.0, loss(weights - step)
        while new > value and size > 1e-6:
            size /= 2
            new, new_logp = loss(weights - size * step)
        weights, value, logp = weights - size * step, new, new_logp
    return weights, -value + 0.5 * float(np.log(precision).sum()) - 0.5 * float(np.linalg.slogdet(hessian)[1])

"""The plain reference for a panel of open answers: a conditional logit over votes, fitted on gold alone.

Knows votes and gold. Ignores unlabelled items, texts and who errs together; `panel` is the estimator to use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import ABSTAIN
from distrust.trust.panel_pool import logit
from distrust.trust.panel_rows import Array, Labels, Rows, check_gold, fit_logit, rows_of

SCALES = (1.0, 0.5, 0.25, 0.1)  # of the prior, which believes teachers to be independent and so says too much
RIDGES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
FOLDS = 5
LEAST = 2 * FOLDS  # gold items of a listed candidate


@dataclass(frozen=True)
class ConditionalLogit:
    """Weights of the teachers' votes (M,), and one chance of "none of these" for every item."""

    weights: Array
    none: float

    def posterior(self, evidence: Sequence[Evidence]) -> Tensor:
        """Chances (B, K) float64 as `Panel.posterior`; candidates that nobody claims are as likely as their zero score."""
        rows = rows_of(evidence)
        chances = np.zeros((len(evidence[0]), len(evidence[0].space)))
        chances[rows.item, rows.column] = self.chances(rows)
        return torch.from_numpy(chances)

    def chances(self, rows: Rows) -> Array:
        """The same on rows: (R,). Of an item without a candidate nothing but none of these is left."""
        among = np.exp(rows.log_softmax(np.where(rows.none, -1e9, rows.votes @ self.weights)))
        none = np.where(rows.sums((~rows.none).astype(np.float64))[rows.item] > 0, self.none, 1.0)
        return np.where(rows.none, none, among * (1 - none))


def conditional_logit(evidence: Sequence[Evidence], gold: Tensor) -> ConditionalLogit:
    """Fit on gold: the prior is the log-odds of each teacher's accuracy times a scale, that and the ridge by 5-fold
    cross-validated log-loss.

    Args:
        evidence: one a teacher; gold: (B,) claims as for `panel`, at least ten of a listed candidate.

    Raises:
        DataError: too little gold, or as `rows_of`.
    """
    order = np.argsort(evidence[0].ids)  # so that folds go by ids: items in another order are the same logit
    return logit_of(rows_of(evidence).of(order)[0], check_gold(gold, evidence)[order])


def logit_of(rows: Rows, labels: Labels) -> ConditionalLogit:
    """The same from rows and gold claims (B,)."""
    shown = labels != ABSTAIN
    found = listed(rows, labels)
    if len(found) < LEAST:
        raise DataError(f"A conditional logit is fitted on gold; {len(found)} items are too few, legal is {LEAST}.")
    among = _without_none(rows)
    fold = np.random.default_rng(0).permutation(len(found)) % FOLDS
    losses = np.zeros((len(SCALES), len(RIDGES)))
    for held in range(FOLDS):
        fit, judge = found[fold != held], found[fold == held]
        judged, _ = among.of(judge)
        target = judged.target(labels[judge])
        for at, (_, weights) in _path(among, fit, labels).items():
            losses[at] -= target @ judged.log_softmax(judged.votes @ weights)
    best = np.unravel_index(losses.argmin(), losses.shape)
    weights = _path(among, found, labels)[int(best[0]), int(best[1])][1]
    return ConditionalLogit(weights, float((shown.sum() - len(found) + 0.5) / (shown.sum() + 1)))


def listed(rows: Rows, labels: Labels) -> Labels:
    """Rows of the items whose gold is one of the candidates: claims (B,) to (n,)."""
    return np.nonzero((labels != ABSTAIN) & (labels != rows.column.max()))[0]  # the last column is none of these


def _without_none(rows: Rows) -> Rows:
    """The rows of listed candidates; an item without any keeps its only row."""
    kept = ~rows.none | (rows.sums(np.ones(len(rows.item)))[rows.item] == 1)
    item = rows.item[kept]
    start = np.searchsorted(item, np.arange(len(rows.start)))
    return Rows(item, rows.column[kept], rows.none[kept], start, rows.votes[kept])


def _path(rows: Rows, items: np.ndarray, labels: np.ndarray) -> dict[tuple[int, int], tuple[float, Array]]:
    """Fits on some items for every scale and ridge, the stiffest first, each starting from the one before."""
    some, _ = rows.of(items)
    target = some.target(labels[items])
    spoke = some.sums(some.votes).sum(0)
    prior = logit((target @ some.votes + 1) / (spoke + 2))
    fits = {}
    for row, scale in enumerate(SCALES):
        weights = prior * scale
        for column, ridge in enumerate(RIDGES):
            weights, nats = fit_logit(some, some.votes, target, prior * scale, np.full(len(prior), ridge), weights)
            fits[row, column] = (nats, weights)
    return fits

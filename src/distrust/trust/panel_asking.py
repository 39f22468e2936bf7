"""Which few teachers of a panel to keep asking, and when to stop asking an item, after `RIVALS` answers at the soonest.

Knows a pilot of items that all teachers answered, with gold. Orders the teachers so that each adds what those before it
left open, and stops an item when the leader's chance passes a threshold. Knows nothing of prices: a call is a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import ABSTAIN
from distrust.trust.panel_pooled import Pooled, members_of, pooled
from distrust.trust.panel_rows import Array, Rows, check_gold, rows_of

FOLDS = 5
LONGEST = 2.0  # an item is asked of at most this many times the mean number of calls
RIVALS = 3  # calls before an item may stop, where the share allows: with one answer there is no rival, and it looks sure
UNHEARD = 1e-3  # chance of a right answer that nobody gave yet, inside a log
STEPS = np.linspace(0.3, 0.999, 70)  # thresholds tried


@dataclass(frozen=True)
class Asking:
    """An order of asking, and how sure is sure enough."""

    pooled: Pooled  # and not its blend: of the few claims there are at first, the plain logit is too sure
    order: tuple[int, ...]  # teachers worth asking, the first first
    threshold: float
    least: int  # calls of an item at least

    def ask(self, evidence: Sequence[Evidence]) -> tuple[Tensor, Tensor]:
        """Ask item by item in order, until sure or at the end of the order.

        Args:
            evidence: what each of the panel's M teachers would say, were it asked; nothing else of it is looked at.

        Returns:
            Chances (B, K) of the candidates given the claims that were bought, and calls made (B,) long.
        """
        rows = rows_of(evidence)
        steps = [_given(self.pooled, rows, self.order[: count + 1]) for count in range(len(self.order))]
        sure = np.stack([np.maximum.reduceat(np.where(rows.none, 0, one), rows.start) for one in steps])  # (S, B)
        calls = _calls(sure, self.threshold, self.least)
        chances = np.zeros((len(evidence[0]), len(evidence[0].space)))
        chances[rows.item, rows.column] = np.stack(steps)[calls[rows.item] - 1, np.arange(len(rows.item))]
        return torch.from_numpy(chances), torch.from_numpy(calls)


def plan_asking(
    evidence: Sequence[Evidence], gold: Tensor, share: float, groups: Mapping[str, Sequence[str]] | None = None
) -> Asking:
    """Plan on a pilot to make a share of the full panel's calls.

    Args:
        evidence, gold, groups: of the pilot, as for `panel.panel`; every item with gold, asked of every teacher.
        share: of M calls an item that may be made on average, above 0 and at most 1.

    Returns:
        The order by greedy log-loss on the pilot, and the highest threshold whose cross-fitted mean number of calls
        keeps within the share.

    Raises:
        DataError: a share outside that, an item without gold, or less gold than two items a fold.
    """
    if not 0 < share <= 1:
        raise DataError(f"The share of calls is {share}; legal is above 0 and at most 1.")
    labels = check_gold(gold, evidence)
    if (labels == ABSTAIN).any() or len(labels) < 2 * FOLDS:
        raise DataError(f"A pilot needs gold on every item and {2 * FOLDS} items or more; choose its items first.")
    rows, members = rows_of(evidence), members_of(groups, len(evidence))
    fitted = pooled(rows, labels, members, None)
    budget = share * len(evidence)
    order = _greedy(fitted, rows, rows.target(labels), min(len(evidence), max(1, round(LONGEST * budget))))
    fold = np.empty(len(labels), dtype=np.int64)
    fold[np.argsort(evidence[0].ids)] = np.random.default_rng(0).permutation(len(labels)) % FOLDS  # by ids, in any order
    sure = np.zeros((len(order), len(labels)))
    for held in range(FOLDS):
        other = pooled(rows, np.where(fold == held, ABSTAIN, labels), members, None)
        for count in range(len(order)):
            chances = _given(other, rows, order[: count + 1])
            best = np.maximum.reduceat(np.where(rows.none, 0, chances), rows.start)
            sure[count, fold == held] = best[fold == held]
    least = min(RIVALS, max(1, int(budget)))
    within = [float(one) for one in STEPS if _calls(sure, float(one), least).mean() <= budget]
    return Asking(fitted, tuple(order), max(within, default=0.0), least)


def _greedy(fitted: Pooled, rows: Rows, target: Array, count: int) -> list[int]:
    """Teachers in the order in which each lowers the log-loss on gold the most, given those before it."""
    order: list[int] = []
    while len(order) < count:
        left = [one for one in range(rows.votes.shape[1]) if one not in order]
        losses = [-target @ np.log(_given(fitted, rows, [*order, one]).clip(UNHEARD)) for one in left]
        order.append(left[int(np.argmin(losses))])
    return order


def _given(fitted: Pooled, rows: Rows, asked: Sequence[int]) -> Array:
    """Chances (R,) given the claims of those who were asked; what nobody said yet is no candidate and has chance 0."""
    heard = np.zeros(rows.votes.shape[1])
    heard[list(asked)] = 1
    votes = rows.votes * heard
    kept = np.flatnonzero(rows.none | (votes.sum(1) > 0))
    item = rows.item[kept]
    start = np.searchsorted(item, np.arange(len(rows.start)))
    chances = np.zeros(len(rows.item))
    chances[kept] = fitted.chances(Rows(item, rows.column[kept], rows.none[kept], start, votes[kept]), None)
    return chances


def _calls(sure: Array, threshold: float, least: int) -> np.ndarray:
    """Calls made on each item, (B,) long from `least`: until sure (S, B) passes the threshold, S where it never does."""
    passed = (sure >= threshold) & (np.arange(1, len(sure) + 1) >= least)[:, None]
    return np.where(passed.any(0), passed.argmax(0) + 1, len(sure)).astype(np.int64)

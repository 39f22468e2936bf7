"""Whom of a panel to believe when answers are open: `panel(evidence, gold)` fits, `.posterior(evidence)` says the chances.

A blend of two logits over each item's own candidates and "none of these": one that begins with what the pool shows
(`panel_pooled`) and one that knows gold alone (`panel_logit`), each with the say that gold held out of their fits gives it.
Knows nothing of questions, of money, or of how an answer became a candidate (`panel_answers`).
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
from distrust.trust.panel_logit import LEAST, ConditionalLogit, listed, logit_of
from distrust.trust.panel_pooled import Pooled, hints_of, members_of, pooled
from distrust.trust.panel_rows import Array, Labels, Rows, check_gold, rows_of

FOLDS = 5
FEW = 40  # gold items below which folds are too small to compare, and the pool leads
SHARES = np.linspace(0, 1, 21)  # of the pooled logit that are tried


@dataclass(frozen=True)
class Panel:
    """A fitted panel: two logits, and how much of the chances is the first one's."""

    sources: tuple[str, ...]  # M
    hinted: bool
    pooled: Pooled
    plain: ConditionalLogit | None  # None: too little gold to compare, and the share is 1
    share: float

    def posterior(self, evidence: Sequence[Evidence], hints: Tensor | None = None) -> Tensor:
        """Chances of each candidate and, in the last column, of none of these: (B, K) float64, rows sum to one.

        Args:
            evidence, hints: on any items, of the teachers that it was fitted on; hints if it was fitted with them.

        Raises:
            DataError: other teachers or hints than those it was fitted on, or as `rows_of`.
        """
        rows = rows_of(evidence)
        if tuple(one.source for one in evidence) != self.sources:
            raise DataError(f"The panel was fitted on {', '.join(self.sources)}, in this order; others cannot be weighed.")
        if self.hinted != (hints is not None):
            raise DataError(f"The panel was fitted {'with' if self.hinted else 'without'} hints; ask it in the same way.")
        chances = np.zeros((len(evidence[0]), len(evidence[0].space)))
        chances[rows.item, rows.column] = self.chances(rows, hints_of(hints, rows))
        return torch.from_numpy(chances)

    def chances(self, rows: Rows, hints: Array | None) -> Array:
        """The same on rows: (R,), with hints (B, M)."""
        chances = self.pooled.chances(rows, hints)
        return chances if self.plain is None else self.share * chances + (1 - self.share) * self.plain.chances(rows)


def panel(
    evidence: Sequence[Evidence],
    gold: Tensor | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    hints: Tensor | None = None,
) -> Panel:
    """Fit whom to believe, on all items of a pool and the gold of some.

    Args:
        evidence: one a teacher, the same B items and candidates; items without gold are used too.
        gold: (B,) long claims, "none of these" where the right answer is no candidate, -1 where there is no gold.
            None, or -1 throughout: the pool's prior is what is believed.
        groups: who may err together, by any ways of grouping: ``{"model": [...], "prompt": [...]}``, a name a teacher.
            By the first, the teachers of a group are also counted as one.
        hints: (M, B) log-odds that a claim is right above its teacher's usual, 0 for nothing to add; for instance
            `panel_text.TextTrust.score`. Gold decides how loud they are: without gold they are not heard.

    Raises:
        DataError: evidence, gold or hints that do not fit, or groups of another number of teachers.

    Source: of the blend Yao et al. 2018 (stacking of predictive distributions), its share averaged as in Bayesian stacking.
    """
    rows = rows_of(evidence)
    labels = np.full(len(evidence[0]), ABSTAIN) if gold is None else check_gold(gold, evidence)
    members, heard = members_of(groups, len(evidence)), hints_of(hints, rows)
    order = np.argsort(evidence[0].ids)  # so that folds go by ids: items in another order are the same panel
    plain, share = _beside(rows.of(order)[0], labels[order], members, None if heard is None else heard[order])
    names = tuple(one.source for one in evidence)
    return Panel(names, hints is not None, pooled(rows, labels, members, heard), plain, share)


def _beside(
    rows: Rows, labels: Labels, members: tuple[Array, ...], hints: Array | None
) -> tuple[ConditionalLogit | None, float]:
    """The logit on gold alone, and the share of the other: its mean under what held-out gold says of every share, each
    as likely as another beforehand."""
    shown = np.nonzero(labels != ABSTAIN)[0]
    if len(shown) < FEW:
        return None, 1.0
    fold = np.random.default_rng(0).permutation(len(shown)) % FOLDS
    hidden = [np.where(np.isin(np.arange(len(labels)), shown[fold == held]), ABSTAIN, labels) for held in range(FOLDS)]
    if any(len(listed(rows, one)) < LEAST for one in hidden):
        return None, 1.0
    target, right = rows.target(labels), np.zeros((2, len(labels)))  # chances of what gold says
    for one in hidden:
        held = (labels != ABSTAIN) & (one == ABSTAIN)
        both = pooled(rows, one, members, hints).chances(rows, hints), logit_of(rows, one).chances(rows)
        right += held * np.stack([rows.sums(target * chances) for chances in both])
    nats = np.log(np.outer(SHARES, right[0, shown]) + np.outer(1 - SHARES, right[1, shown])).sum(1)
    likely = np.exp(nats - nats.max())
    return logit_of(rows, labels), float(likely @ SHARES / likely.sum())

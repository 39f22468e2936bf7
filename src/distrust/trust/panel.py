"""Whom of a panel to believe when answers are open: `panel(evidence, gold)` fits, `.posterior(evidence)` says the chances.

A conditional logit over each item's own candidates and "none of these". Before any gold its weights are what the pool
says of the teachers (`panel_pool`); gold moves them, for a teacher, and for groups of teachers that err together.
Knows nothing of questions, of money, or of how an answer became a candidate (`panel_answers`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import Evidence
from distrust.labels import ABSTAIN
from distrust.trust.panel_pool import chance, one_coin, worth
from distrust.trust.panel_rows import Array, Rows, check_gold, fit_logit, rows_of

GAP = 1.0  # nats between the two likeliest candidates of a mean item, before gold is seen
PRIOR = (1.0, 4.0)  # mean and precision of the prior's weight, the mean shared out among its columns
NONE = (-2.0, 0.5)  # and of the score of "none of these"
TEACHER = (3.0, 30.0)  # precisions tried of what gold says of one teacher
GROUP = (0.5, 3.0, 20.0, 100.0)  # of a group of them
HINT = (1.0, 50.0)  # and of the hints: heard, or as good as not
FAINT = 0.01  # share of the evidence below which a choice of precisions is left out


@dataclass(frozen=True)
class Panel:
    """A fitted panel: weights for every choice of precisions, averaged by their evidence (marginal likelihood)."""

    sources: tuple[str, ...]  # M
    members: tuple[Array, ...]  # per grouping (M, G), one where a teacher is of the group
    accuracy: Array  # (M,) agreement with what is believed
    scales: Array  # (P,) that give the P prior columns their GAP
    hinted: bool
    weights: Array  # (F, T), one column a choice
    shares: Array  # (T,), sum to one
    gold: int  # items it was fitted on

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
        chances[rows.item, rows.column] = self.chances(rows, _hints(hints, rows))
        return torch.from_numpy(chances)

    def chances(self, rows: Rows, hints: Array | None) -> Array:
        """The same on rows: (R,), with hints (B, M)."""
        scores = self._features(rows, hints) @ self.weights  # (R, T)
        parts = [share * np.exp(rows.log_softmax(one)) for share, one in zip(self.shares, scores.T, strict=True)]
        return np.asarray(sum(parts))

    def _features(self, rows: Rows, hints: Array | None) -> Array:
        prior, heard = _prior(rows, hints, self.accuracy, self.members)
        return _columns(rows, prior * self.scales, None if heard is None else heard * self.scales, self.members)


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
            None, or -1 throughout: the prior is what is believed.
        groups: who may err together, by any ways of grouping: ``{"model": [...], "prompt": [...]}``, a name a teacher.
            By the first, the teachers of a group are also counted as one.
        hints: (M, B) log-odds that a claim is right above its teacher's usual, 0 for nothing to add; for instance
            `panel_text.TextTrust.score`. Gold decides how loud they are: without gold they are not heard.

    Raises:
        DataError: evidence, gold or hints that do not fit, or groups of another number of teachers.

    Source: McFadden 1974 (conditional logit), MacKay 1992 (evidence), Dawid and Skene 1979 (the prior's accuracies).
    """
    rows = rows_of(evidence)
    labels = np.full(len(evidence[0]), ABSTAIN) if gold is None else check_gold(gold, evidence)
    members = tuple(_members(name, of, len(evidence)) for name, of in (groups or {}).items())
    target = rows.target(labels)
    _, accuracy = one_coin(rows, target, _says(len(evidence), members)[-1])
    prior, heard = _prior(rows, _hints(hints, rows), accuracy, members)
    scales = np.array([_scale(rows, one) for one in prior.T])
    columns = _columns(rows, prior * scales, None if heard is None else heard * scales, members)
    mean, fixed, kind = _priors(prior.shape[1], heard is not None, len(evidence), members)
    shown = np.nonzero(labels != ABSTAIN)[0]
    if len(shown):
        some, at = rows.of(shown)
        weights, shares = _average(some, columns[at], target[at], mean, fixed, kind)
    else:
        weights, shares = mean[:, None], np.ones(1)
    names = tuple(one.source for one in evidence)
    return Panel(names, members, accuracy, scales, hints is not None, weights, shares, len(shown))


def _members(name: str, of: Sequence[str], teachers: int) -> Array:
    if len(of) != teachers:
        raise DataError(f"The grouping {name!r} names {len(of)} groups; legal is one a teacher, {teachers}.")
    return np.asarray(np.array(of)[:, None] == np.array(sorted(set(of))), dtype=np.float64)


def _says(teachers: int, members: Sequence[Array]) -> list[Array]:
    """How much of a vote counts, (M,) each: every vote; and, with groups, a group of the first grouping as one vote."""
    return [np.ones(teachers)] + [1 / (one @ one.sum(0)) for one in members[:1]]


def _hints(hints: Tensor | None, rows: Rows) -> Array | None:
    """Hints (M, B) to (B, M) numpy."""
    if hints is None:
        return None
    legal = (rows.votes.shape[1], len(rows.start))
    if hints.shape != legal or not bool(hints.isfinite().all()):
        raise DataError(f"Hints are {tuple(hints.shape)}; legal is {legal}, one finite number a teacher and item.")
    return np.asarray(hints.double().numpy().T)


def _prior(rows: Rows, hints: Array | None, accuracy: Array, members: Sequence[Array]) -> tuple[Array, Array | None]:
    """What the pool says for each candidate, (R, P), and what the hints add, (R, P): every teacher by itself, then
    (P = 2, with groups) every group as one."""
    says = _says(len(accuracy), members)
    votes = rows.votes * worth(accuracy, chance(rows))  # (R, M)
    prior = np.stack([votes @ say for say in says], axis=1)
    if hints is None:
        return prior, None
    loud = rows.votes * hints[rows.item]  # (R, M)
    return prior, np.stack([loud @ say for say in says], axis=1)


def _scale(rows: Rows, score: Array) -> float:
    """What brings the mean gap between an item's two best candidates to GAP; 1 where no item has two."""
    listed = np.where(rows.none, -np.inf, score)
    best = np.maximum.reduceat(listed, rows.start)
    first = np.zeros(len(score), dtype=bool)
    order = np.flatnonzero((listed == best[rows.item]) & ~rows.none)
    first[order[np.unique(rows.item[order], return_index=True)[1]]] = True
    second = np.maximum.reduceat(np.where(first, -np.inf, listed), rows.start)
    two = np.isfinite(second)
    gap = float((best - second)[two].mean()) if two.any() else 0.0
    return GAP / gap if gap > 1e-9 else 1.0


def _columns(rows: Rows, prior: Array, heard: Array | None, members: Sequence[Array]) -> Array:
    """All features (R, F), in the order of `_priors`."""
    parts = [prior, rows.none[:, None].astype(np.float64)] + ([] if heard is None else [heard])
    together = members[0] if members else np.ones((rows.votes.shape[1], 1))
    parts += [rows.votes, *(rows.votes @ (one / np.sqrt(one.sum(0))) for one in members)]
    return np.concatenate([*parts, np.log1p(rows.votes @ together)], axis=1)


def _priors(prior: int, hinted: bool, teachers: int, members: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Mean (F,), fixed precision (F,), and kind (F,) of each weight: 0 fixed, 1 of a teacher, 2 of a group, 3 a hint."""
    groups = sum(one.shape[1] for one in members) + (members[0].shape[1] if members else 1)
    blocks = [(PRIOR[0] / prior, PRIOR[1], 0, prior), (*NONE, 0, 1)]
    blocks += [(0.0, 1.0, 3, prior)] if hinted else []
    blocks += [(0.0, 1.0, 1, teachers), (0.0, 1.0, 2, groups)]
    mean, fixed, kind = (np.concatenate([np.full(block[3], block[at]) for block in blocks]) for at in range(3))
    return mean, fixed, kind


def _average(rows: Rows, columns: Array, target: Array, mean: Array, fixed: Array, kind: Array) -> tuple[Array, Array]:
    """Weights (F, T) for every choice of precisions that matters, and their shares (T,) of the evidence."""
    found: list[Array] = []
    evidence: list[float] = []
    for hint, group, teacher in itertools.product(HINT if (kind == 3).any() else HINT[:1], GROUP, TEACHER):
        precision = np.choose(kind.astype(int), [fixed, teacher, group, hint])
        start = found[-1] if found else mean
        weights, nats = fit_logit(rows, columns, target, mean, precision, start)
        found.append(weights)
        evidence.append(nats)
    shares = np.exp(np.array(evidence) - max(evidence))
    shares /= shares.sum()
    kept = shares > FAINT
    return np.stack(found, axis=1)[:, kept], shares[kept] / shares[kept].sum()

"""A panel as its pool shows it: a conditional logit over each item's own candidates and "none of these".

Before any gold its weights are what the pool says of the teachers (`panel_pool`); gold moves them, for a teacher, and for
groups of teachers that err together. Does not know how it compares with gold alone (`panel_logit`), with which `panel`
blends it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from distrust.errors import DataError
from distrust.labels import ABSTAIN
from distrust.trust.panel_pool import chance, one_coin, worth
from distrust.trust.panel_rows import Array, Labels, Rows, fit_logit

GAP = 1.0  # nats between the two likeliest candidates of a mean item, before gold is seen
PRIOR = (1.0, 4.0)  # mean and precision of the prior's weight, the mean shared out among its columns
NONE = (-2.0, 0.5)  # and of the score of "none of these"
TEACHER = (3.0, 30.0)  # precisions tried of what gold says of one teacher
GROUP = (0.5, 3.0, 20.0, 100.0)  # of a group of them
HINT = (1.0, 50.0)  # and of the hints: heard, or as good as not
FAINT = 0.01  # share of the evidence below which a choice of precisions is left out


@dataclass(frozen=True)
class Pooled:
    """Weights for every choice of precisions, averaged by their evidence (marginal likelihood)."""

    members: tuple[Array, ...]  # per grouping (M, G), one where a teacher is of the group
    accuracy: Array  # (M,) agreement with what is believed
    scales: Array  # (P,) that give the P prior columns their GAP
    weights: Array  # (F, T), one column a choice
    shares: Array  # (T,), sum to one

    def chances(self, rows: Rows, hints: Array | None) -> Array:
        """Of each candidate and of none of these, on rows: (R,), summing to one over an item; hints (B, M)."""
        scores = self._features(rows, hints) @ self.weights  # (R, T)
        parts = [share * np.exp(rows.log_softmax(one)) for share, one in zip(self.shares, scores.T, strict=True)]
        return np.asarray(sum(parts))

    def _features(self, rows: Rows, hints: Array | None) -> Array:
        prior, heard = _prior(rows, hints, self.accuracy, self.members)
        return _columns(rows, prior * self.scales, None if heard is None else heard * self.scales, self.members)


def pooled(rows: Rows, labels: Labels, members: tuple[Array, ...], hints: Array | None) -> Pooled:
    """Fit on all items of a pool and the gold of some.

    Args:
        rows: B items, M teachers; those without gold are used too.
        labels: (B,) gold claims, -1 where there is none; -1 throughout: the prior is what is believed.
        members, hints: as `members_of` and `hints_of` have them.

    Source: McFadden 1974 (conditional logit), MacKay 1992 (evidence), Dawid and Skene 1979 (the prior's accuracies).
    """
    teachers, target = rows.votes.shape[1], rows.target(labels)
    _, accuracy = one_coin(rows, target, _says(teachers, members)[-1])
    prior, heard = _prior(rows, hints, accuracy, members)
    scales = np.array([_scale(rows, one) for one in prior.T])
    columns = _columns(rows, prior * scales, None if heard is None else heard * scales, members)
    mean, fixed, kind = _priors(prior.shape[1], heard is not None, teachers, members)
    shown = np.nonzero(labels != ABSTAIN)[0]
    if len(shown):
        some, at = rows.of(shown)
        weights, shares = _average(some, columns[at], target[at], mean, fixed, kind)
    else:
        weights, shares = mean[:, None], np.ones(1)
    return Pooled(members, accuracy, scales, weights, shares)


def members_of(groups: Mapping[str, Sequence[str]] | None, teachers: int) -> tuple[Array, ...]:
    """Groupings as (M, G), one where a teacher is of the group. Raises DataError for another number of names."""
    return tuple(_members(name, of, teachers) for name, of in (groups or {}).items())


def _members(name: str, of: Sequence[str], teachers: int) -> Array:
    if len(of) != teachers:
        raise DataError(f"The grouping {name!r} names {len(of)} groups; legal is one a teacher, {teachers}.")
    return np.asarray(np.array(of)[:, None] == np.array(sorted(set(of))), dtype=np.float64)


def _says(teachers: int, members: Sequence[Array]) -> list[Array]:
    """How much of a vote counts, (M,) each: every vote; and, with groups, a group of the first grouping as one vote."""
    return [np.ones(teachers)] + [1 / (one @ one.sum(0)) for one in members[:1]]


def hints_of(hints: Tensor | None, rows: Rows) -> Array | None:
    """Hints (M, B) to (B, M) numpy. Raises DataError where they do not fit the rows or are not finite."""
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
    gap = float((best[two] - second[two]).mean()) if two.any() else 0.0
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

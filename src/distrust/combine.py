"""From trust to what a student learns from: weights over sources, or one target per item.

Knows stacked claims and probabilities (M, *items, C), abstentions, and which classes a source knows. Knows nothing of
students, losses or files. Weights are (M, *items), zero where a source said nothing, and sum to one over those that
spoke; targets are (*items, C), and a row of zeros says "nobody spoke".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence import votes


def normalise(trust: Tensor, answered: Tensor) -> Tensor:
    """Trust to weights: (M, *items) non-negative to (M, *items), summing to one over the sources that answered.

    Where every source that answered has trust 0, they share the weight evenly.

    Raises:
        DataError: a negative or non-finite trust, or a sum that overflows.
    """
    counted = torch.where(answered, trust, torch.zeros_like(trust))
    total = counted.sum(0)  # (*items)
    if bool((counted < 0).any()) or not bool(total.isfinite().all()):
        raise DataError("Trust must be finite and at least 0 to become a weight; apply softmax or exp to a log score.")
    even = answered / answered.sum(0).clamp(min=1)
    return torch.where(total > 0, counted / torch.where(total > 0, total, 1), even.to(total.dtype))


def uniform(answered: Tensor) -> Tensor:
    """Believe all sources that answered alike: (M, *items) bool to weights (M, *items)."""
    return normalise(torch.ones(answered.shape, device=answered.device), answered)


def weighted_mean(probabilities: Tensor, weights: Tensor, known: Tensor | None = None) -> Tensor:
    """Weighted mean of distributions: (M, *items, C) and (M, *items) to targets (*items, C).

    Learning from it equals learning from every source with its weight: the student's gradient of the weighted sum of
    KL divergences is that of one KL to this mean (CA-MKD card, "weighing losses is averaging targets").

    Args:
        probabilities: zero at the classes a source does not know.
        weights: of the sources.
        known: (M, C) bool, which classes a source knows. "Does not know" is not "no": with it a class is averaged over
            the sources that know it alone, and a row is then scaled to sum to one again.
    """
    mean = (probabilities * weights.unsqueeze(-1)).sum(0)
    if known is None or bool(known.all()):
        return mean
    spread = known.reshape(known.shape[0], *(1 for _ in weights.shape[1:]), known.shape[-1])  # (M, 1..., C)
    heard = (weights.unsqueeze(-1) * spread).sum(0)  # (*items, C) weight of those that know the class
    mean = mean / torch.where(heard > 0, heard, 1)
    total = mean.sum(-1, keepdim=True)
    return mean / torch.where(total > 0, total, 1)


def majority_vote(claims: Tensor, classes: int) -> Tensor:
    """One-hot target of the most frequent claim: (V, *items) long to (*items, C); ties share the mass evenly.

    Abstentions do not vote; where all abstain the row is zero.
    """
    counts = votes(claims, classes)
    top = (counts == counts.amax(-1, keepdim=True)) & (counts > 0)
    return top.to(counts.dtype) / top.sum(-1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Confusions:
    """What each source claims when a class is true, estimated on gold: the sources' error model.

    Made by `fit_confusions`; `posterior` turns claims into targets.
    """

    given_true: Tensor  # (M, C, C): P(source m claims j | class c is true), rows sum to one
    prior: Tensor  # (C,): P(class c is true)

    def posterior(self, claims: Tensor) -> Tensor:
        """P(class | claims): (M, *items) long to targets (*items, C), sources taken as independent given the class.

        An abstention says nothing; where all abstain the prior is returned. Source: naive Bayes / Dawid and Skene
        1979, equation for the class posterior, with confusions from gold instead of EM.

        Raises:
            DataError: claims of another number of sources.
        """
        if len(claims) != len(self.given_true):
            raise DataError(f"There are claims of {len(claims)} sources but confusions of {len(self.given_true)}.")
        score = _log(self.prior).expand(*claims.shape[1:], -1)  # (*items, C)
        for table, claimed in zip(self.given_true, claims, strict=True):
            said = _log(table).T[claimed.clamp(min=0)]  # (*items, C)
            score = score + torch.where((claimed >= 0).unsqueeze(-1), said, torch.zeros_like(said))
        return score.softmax(-1)


def fit_confusions(
    claims: Tensor, labels: Tensor, pool: Tensor, classes: int, shrinkage: float = 2.0, known: Tensor | None = None
) -> Confusions:
    """Estimate each source's class confusions on gold, shrunk towards what little gold can say.

    Args:
        claims: (M, n) long on the gold items; -1 abstains.
        labels: (n,) long gold classes.
        pool: (M, N) long claims on all items, gold or not: how often a source claims each class at all.
        classes: C.
        shrinkage: pseudo-counts a true class lends to the source's overall behaviour, > 0. A class without gold is
            described by that alone: right with the source's overall accuracy, else any class it is wont to claim.
        known: (M, C) bool, which classes a source knows; None: all. Of others it can only say what it is wont to claim.

    Returns:
        Confusions whose prior is estimated from the gold classes and from the pool's claims, by the same shrinkage.

    Raises:
        DataError: no gold, a label that is no class, a shrinkage that is not positive, or shapes that do not fit.
    """
    if not len(labels):
        raise DataError("Class confusions are estimated on gold, and there is none; give gold or combine another way.")
    if bool(((labels < 0) | (labels >= classes)).any()):
        raise DataError(f"A gold label is outside the {classes} classes; legal are 0 to {classes - 1}.")
    if not 0 < shrinkage < math.inf:
        raise DataError(f"shrinkage is {shrinkage}; legal is any finite number above 0.")
    if claims.shape != (pool.shape[0], len(labels)):
        raise DataError(f"Claims on gold are {tuple(claims.shape)}; legal is ({pool.shape[0]}, {len(labels)}).")
    tables = []
    for source, (mine, all_mine) in enumerate(zip(claims, pool, strict=True)):
        spoke = mine >= 0
        counts = torch.zeros(classes, classes, device=claims.device)
        counts.index_put_((labels[spoke], mine[spoke]), torch.ones(int(spoke.sum()), device=claims.device), accumulate=True)
        tables.append(shrunk(counts, votes(all_mine, classes), shrinkage, None if known is None else known[source]))
    said = votes(pool.reshape(-1), classes)  # (C,) how often each class is claimed by anybody
    gold = votes(labels, classes)
    prior = (gold + shrinkage * _share(said + 1)) / (gold.sum() + shrinkage)
    return Confusions(torch.stack(tables), prior)


def shrunk(counts: Tensor, said: Tensor, shrinkage: float, known: Tensor | None = None) -> Tensor:
    """One source's error model from counts: P(claims j | class c is true), (C, C), rows sum to one.

    Args:
        counts: (C, C) how often class c was true and j claimed; whole items or shares of them.
        said: (C,) how often each class is claimed at all.
        shrinkage, known (C,): as for `fit_confusions`.
    """
    classes = len(said)
    knows = torch.ones(classes, dtype=torch.bool, device=said.device) if known is None else known
    within = counts[knows]
    accuracy = (counts.diagonal()[knows].sum() + 1) / (within.sum() + 2)  # Laplace: never certain of 0 or 1
    habit = _share((said + 1 / classes) * knows)
    right = (accuracy * knows).unsqueeze(-1)  # (C, 1): of a class it does not know it cannot be right
    base = (1 - right) * habit.expand(classes, classes) + right * torch.eye(classes, dtype=said.dtype, device=said.device)
    return (counts + shrinkage * base) / (counts.sum(-1, keepdim=True) + shrinkage)


def _log(probabilities: Tensor) -> Tensor:
    """Logarithm in which "never" is very unlikely, so that sources who contradict each other leave a distribution."""
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


def _share(counts: Tensor) -> Tensor:
    return counts / counts.sum()

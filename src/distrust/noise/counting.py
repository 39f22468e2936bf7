"""How a teacher's claims come about from the truth, counted with and without gold.

Knows a student's probabilities of the claim, and claims; tables are (C, C), rows the claimed class unless said otherwise.
Knows nothing of intervals or of where the student came from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = 1e-9  # of a student's probability
STRENGTH = 30.0  # counts that a true class lends to the teacher's overall accuracy and habits
STEPS, ROUNDS = 4, 2  # fewer leave random noise in, more leave systematic noise out; measured on TREC and R52
WORTH = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)  # gold labels of a claimed class that the student's word may equal
UNSEEN = 2.0  # claims that the student takes for right, added to those that gold has looked at
TURNS = 20  # of expectation-maximisation over `WORTH`
OPEN = 0.1  # share of a class's mistakes that may be of any kind, so that gold can show one the student never saw


@dataclass(frozen=True)
class Truths:
    """What a claimed class stands for: P(true | claimed), and how sure that is."""

    share: Tensor  # (C, C), rows sum to one
    weight: Tensor  # (C,) gold labels that each row is worth: those there are, and the student's word


def contradicted(texts: Tensor, claims: Tensor) -> int:
    """How many claims (N,) must be wrong, since copies of a text, equal in `texts` (N,), cannot be of several classes."""
    most: dict[int, int] = {}
    for (text, _), times in Counter(zip(texts.tolist(), claims.tolist(), strict=True)).items():
        most[text] = max(times, most.get(text, 0))
    return len(claims) - sum(most.values())


def confident_counts(probabilities: Tensor, claims: Tensor) -> Tensor:
    """How often class j is true where i is claimed, as far as the student is sure: (N, C) and (N,) long to (C, C).

    An item counts for the most probable class that the student gives at least its mean probability where it is claimed; rows
    are scaled to the claims' counts. Source: Northcutt et al. 2021, confident learning, equations 1 to 3.
    """
    classes = probabilities.shape[1]
    told = torch.nn.functional.one_hot(claims, classes).to(probabilities)  # (N, C)
    claimed = told.sum(0)
    threshold = torch.where(claimed > 0, (told * probabilities).sum(0) / claimed.clamp(min=1), 2.0)  # 2: never reached
    sure = torch.where(probabilities >= threshold, probabilities, 0)
    value, place = sure.max(-1)
    counts = torch.zeros(classes, classes).to(probabilities)
    counts.index_put_((claims[value > 0], place[value > 0]), torch.ones_like(value[value > 0]), accumulate=True)
    rows = counts.sum(-1, keepdim=True)
    return torch.where(rows > 0, counts / rows.clamp(min=1), torch.eye(classes).to(counts)) * claimed.unsqueeze(-1)


def without_gold(probabilities: Tensor, claims: Tensor) -> tuple[Tensor, Tensor]:
    """The student's word alone: expected counts (C, C) and each item's P(true) (N, C), by expectation-maximisation.

    Starts at confident counts; each round explains every item by them, and counts again. Two rounds, since at its fixed
    point the model believes every claim that the student can learn.
    """
    counts = confident_counts(probabilities, claims)
    truth = probabilities
    told = torch.nn.functional.one_hot(claims, probabilities.shape[1]).to(probabilities)
    for _ in range(ROUNDS):
        truth = explain(probabilities, claims, counts)
        counts = told.T @ truth
    return counts, truth


def explain(probabilities: Tensor, claims: Tensor, counts: Tensor) -> Tensor:
    """P(true | text, claim): (N, C).

    The student has learned what is *claimed* of such a text, a blurred picture of what is true: Richardson and Lucy's
    iteration, from the classes' overall shares on, takes the blur away, and Bayes' rule adds the item's own claim.

    Args:
        probabilities: (N, C) of a student that did not see the item's claim.
        claims: (N,) long.
        counts: (C, C) claimed by true, whole or shares.
    """
    blur = _said_when_true(counts)  # (C true, C claimed)
    truth = (counts.sum(0) / counts.sum()).clamp(min=FLOOR).expand_as(probabilities)
    for _ in range(STEPS):
        truth = truth * ((probabilities / (truth @ blur).clamp(min=FLOOR)) @ blur.T)
        truth = truth / truth.sum(-1, keepdim=True)
    both = truth * blur.T[claims]
    return both / both.sum(-1, keepdim=True).clamp(min=FLOOR)


def with_gold(counts: Tensor, seen: Tensor) -> Truths:
    """What a claimed class stands for, by the student's word and by gold.

    Args:
        counts: (C, C) expected counts, claimed by true, without gold.
        seen: (C, C) gold items by claimed and true class.

    The student's word on a class is worth so many gold labels as make the gold seen there probable, averaged over `WORTH` by
    the Dirichlet-multinomial's likelihood, under a prior learned from all classes: random noise a student sees and is
    believed, systematic noise it repeats and is overruled.
    """
    word = _lowered(_opened(counts), counts.sum(-1), seen).clamp(min=FLOOR)
    word = word / word.sum(-1, keepdim=True)
    worth = torch.tensor(WORTH).to(counts)  # (W,)
    alpha = worth[:, None, None] * word  # (W, C, C)
    likely = (torch.lgamma(alpha + seen) - torch.lgamma(alpha)).sum(-1)  # (W, C), of each row's gold up to a constant
    likely = likely + torch.lgamma(worth)[:, None] - torch.lgamma(worth[:, None] + seen.sum(-1))
    prior = torch.full_like(worth, 1 / len(worth))
    met = seen.sum(-1) > 0
    for _ in range(TURNS if bool(met.any()) else 0):
        prior = (likely[:, met] + prior.log()[:, None]).softmax(0).sum(-1) + 1 / len(worth)
        prior = prior / prior.sum()
    belief = (likely + prior.log()[:, None]).softmax(0)  # (W, C)
    weight = worth[:, None] + seen.sum(-1)  # (W, C)
    share = (belief[:, :, None] * (alpha + seen) / weight[:, :, None]).sum(0)
    return Truths(share, 1 / (belief / weight).sum(0))


def _opened(counts: Tensor) -> Tensor:
    """P(true | claimed) by the student's word, a little of it open to mistakes of any kind: (C, C), rows sum to one."""
    classes = len(counts)
    own = torch.eye(classes).to(counts)
    claimed = counts.sum(-1, keepdim=True)
    share = torch.where(claimed > 0, counts / claimed.clamp(min=FLOOR), own)
    wrong = (share * (1 - own)).sum(-1, keepdim=True)
    others = _others(claimed.squeeze(-1))
    mistakes = (1 - OPEN) * share * (1 - own) + OPEN * wrong.clamp(min=0.02) * others
    return mistakes + own * (1 - mistakes.sum(-1, keepdim=True))


def _lowered(word: Tensor, claimed: Tensor, seen: Tensor) -> Tensor:
    """The word (C, C), less the mistakes that the student agrees with: the share that gold finds wrong beyond those it sees.

    claimed (C,), seen (C, C) as for `with_gold`. What is taken away may be any other class, in proportion to its claims.
    """
    met = seen.sum(-1)
    right = word.diagonal()  # (C,)
    expected, got = float((met * right).sum()), float(seen.diagonal().sum())
    unseen = max(expected - got, 0.0) / (expected + UNSEEN)
    return word - unseen * torch.diag(right) + unseen * right.unsqueeze(-1) * _others(claimed)


def _said_when_true(counts: Tensor) -> Tensor:
    """P(claimed | true) from counts, claimed by true: (C, C), rows the true class, shrunk to the overall habit."""
    classes = len(counts)
    own = torch.eye(classes).to(counts)
    right = counts.diagonal().sum() / counts.sum()
    habit = right * own + (1 - right) * _others(counts.sum(-1))
    return (counts.T + STRENGTH * habit) / (counts.sum(0).unsqueeze(-1) + STRENGTH)


def _others(claimed: Tensor) -> Tensor:
    """Any class but one's own, in proportion to how often each is claimed: (C,) to (C, C), rows sum to one."""
    share = (claimed + 1).expand(len(claimed), -1) * (1 - torch.eye(len(claimed)).to(claimed))
    return share / share.sum(-1, keepdim=True)

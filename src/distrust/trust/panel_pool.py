"""What a panel's claims alone say about its teachers: how often each agrees with what all believe.

Knows rows of votes; gold is honoured where there is some. Does not know who copies whom: a crowd that errs together is
taken for right, which is why `panel` only takes these accuracies for a prior.
"""

from __future__ import annotations

import numpy as np

from distrust.trust.panel_rows import Array, Rows

STEPS = 25
GOLD = 5.0  # items without gold that one with gold counts for
LENT, USUAL = 2.0, 0.7  # pseudo-items lent to a teacher, and their accuracy
LEAST = 0.02  # nobody is quite always right or wrong


def chance(rows: Rows) -> Array:
    """Log of the number of wrong candidates, (R,): a vote for one of many says more than for one of two; at least 0."""
    listed = rows.sums((~rows.none).astype(np.float64))
    return np.asarray(np.log(np.maximum(listed - 1, 1))[rows.item])


def one_coin(rows: Rows, target: Array, say: Array) -> tuple[Array, Array]:
    """Dawid and Skene's EM with one accuracy a teacher, wrong claims even over the item's other candidates.

    Args:
        rows: R rows of M teachers.
        target: (R,) one-hot gold, zero on items without.
        say: (M,) at most 1: how much of a vote counts; 1/n each for n teachers that are taken to speak as one.

    Returns:
        Posterior (R,) over the candidates that are listed, and accuracies (M,).

    Source: Dawid and Skene 1979; the one-coin model of Zhou et al. 2015.
    """
    known = rows.sums(target)[rows.item] > 0  # (R,)
    spoke = rows.sums(rows.votes)  # (B, M)
    weight = np.where(known, GOLD, 1.0)  # (R,)
    asked = weight[rows.start] @ spoke + LENT  # (M,)
    votes, odds = rows.votes * say, chance(rows)
    counts = votes.sum(1)
    posterior = counts / np.maximum(rows.sums(counts), 1e-9)[rows.item]
    for _ in range(STEPS):
        posterior = np.where(known, target, posterior)
        accuracy = np.clip(((posterior * weight) @ rows.votes + LENT * USUAL) / asked, LEAST, 1 - LEAST)
        score = (votes * worth(accuracy, odds)).sum(1)
        alone = rows.none & (counts == 0) & (rows.sums(counts)[rows.item] > 0)
        posterior = np.exp(rows.log_softmax(np.where(alone, -60.0, score)))
    return np.where(known, target, posterior), np.asarray(accuracy)


def worth(accuracy: Array, odds: Array) -> Array:
    """Log-odds a vote is worth, (R, M), from accuracies (M,) and `chance` (R,): never below zero.

    Taking a teacher for worse than chance without gold to say so lets EM turn the whole panel upside down.
    """
    return np.asarray(np.maximum(logit(accuracy) + odds[:, None], 0))


def logit(probability: Array) -> Array:
    """Log-odds."""
    return np.asarray(np.log(probability) - np.log1p(-probability))

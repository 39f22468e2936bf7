"""Which of several sources knows an item: scores compared, margins between them, and a calibration on gold.

Knows scores (M, *items), higher for a source that knows the item better, and minus infinity where it said nothing. Does not
know what was scored, or what is learned from the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.errors import DataError

Odds = Callable[[Tensor], Tensor]  # from rows (m,) long to log-odds (M, m)

ROUNDS = 200  # of the fit: convex and of 2 M numbers
PULL = 1.0  # in gold items, towards one scale for all sources: a few of them decide little alone
LIMIT = 8.0  # spreads from the centre, beyond which a score says no more


def choice(scores: Tensor) -> Tensor:
    """All weight on the surest source: (M, *items) to weights (M, *items); equals share it, and silence gets none.

    MUKA, equation 5, and the limit of `soft_choice` as τ goes to 0.
    """
    best = (scores == scores.amax(0)) & (scores > -torch.inf)
    return best.to(scores.dtype) / best.sum(0).clamp(min=1)


def soft_choice(scores: Tensor, tau: float = 0.2) -> Tensor:
    """softmax(s / τ) over sources: (M, *items) to weights (M, *items), 0 where nobody said anything. MUKA, equation 6.

    Raises:
        DataError: a τ that is not above 0.
    """
    if not tau > 0:
        raise DataError(f"tau is {tau}; legal is any number above 0.")
    silent = (scores == -torch.inf).all(0)
    return (scores.masked_fill(silent, 0.0) / tau).softmax(0).masked_fill(silent, 0.0)


def lead(scores: Tensor) -> Tensor:
    """How far the surest source is ahead of the next: (M, *items) to (*items), at least 0. MUKA, equation 7.

    Sources that said nothing do not count; the only one that spoke leads by 1, and where nobody did it is 0.
    """
    if len(scores) == 1:
        return (scores[0] > -torch.inf).to(scores.dtype)
    first, second = scores.topk(2, dim=0).values
    alone = (second == -torch.inf) & (first > -torch.inf)
    return torch.where(alone, 1.0, torch.where(first > -torch.inf, first - second, 0.0))


@dataclass(frozen=True)
class Calibration:
    """One slope (an inverse temperature) and one bias for each source: what brings their scores to one scale."""

    centre: float  # median of the finite scores that the fit saw, and half of what two thirds of them span
    spread: float
    slope: Tensor  # (M,) at least 0
    bias: Tensor  # (M,)

    def scores(self, scores: Tensor) -> Tensor:
        """Log-odds of each source to be the one that knows: (M, *items) to (M, *items)."""
        shape = (-1, *[1] * (scores.dim() - 1))
        scaled = ((scores - self.centre) / self.spread).clamp(-LIMIT, LIMIT)
        return (self.slope.reshape(shape) * scaled + self.bias.reshape(shape)).masked_fill(scores == -torch.inf, -torch.inf)

    def chances(self, scores: Tensor) -> Tensor:
        """How likely each source is the one that knows: (M, *items) to weights (M, *items), summing to one."""
        return soft_choice(self.scores(scores), 1.0)


def calibrate(scores: Tensor, adequate: Tensor) -> Calibration:
    """Fit a calibration on gold items.

    Args:
        scores: (M, n) of the gold items.
        adequate: (M, n) bool, which sources know the item's gold class. Where several do, any of them is right; an item
            whose class nobody knows says nothing.

    Raises:
        DataError: shapes that differ, or no item of which one source knows the class and another does not.
    """
    if scores.dim() != 2 or adequate.shape != scores.shape:
        raise DataError(
            f"Scores are {tuple(scores.shape)} and who knows {tuple(adequate.shape)}; both are (sources, items)."
        )
    spoke = scores > -torch.inf
    told = (adequate & spoke).any(0) & (~adequate & spoke).any(0)
    if not bool(told.any()):
        raise DataError("No gold item tells the teachers apart: one whose class some of them know and others do not.")
    known, given = adequate[:, told], scores[:, told].double()
    finite = given[given > -torch.inf]
    low, middle, high = finite.sort().values[[len(finite) // 6, len(finite) // 2, -1 - len(finite) // 6]].tolist()
    centre, spread = middle, max((high - low) / 2, 1e-6)
    free = torch.zeros(2, len(scores), dtype=torch.double, requires_grad=True)  # log slope, bias

    def fitted() -> Calibration:
        return Calibration(centre, spread, free[0].exp(), free[1])

    search = torch.optim.LBFGS([free], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        odds = fitted().scores(given)
        right = odds.masked_fill(~known, -torch.inf).logsumexp(0) - odds.logsumexp(0)
        pull = (free[0] - free[0].mean()).square().sum() + 0.1 * free.square().sum()
        loss = -right.mean() + PULL * pull / right.shape[0]
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    search.step(closure)  # type: ignore[no-untyped-call]
    done = free.detach().to(scores.dtype)
    return Calibration(centre, spread, done[0].exp(), done[1])


def found(scores: Tensor, adequate: Tensor) -> Tensor:
    """Whether the surest source is one that knows the item's class: (M, n) twice to (n,) shares, ties sharing."""
    return (choice(scores) * adequate).sum(0)


def cross_fitted(fit: Callable[[Tensor], Odds], adequate: Tensor, folds: Sequence[Tensor]) -> Tensor:
    """Each gold item's log-odds by a fit that has not seen it: (M, n).

    Args:
        fit: from the rows (k,) to fit on to a function from rows (m,) to their log-odds (M, m).
        adequate: (M, n) bool, for its shape alone.
        folds: rows (k,) long that are held out together; every row in one of them.
    """
    odds = torch.zeros(adequate.shape)
    for held in folds:
        rest = torch.ones(adequate.shape[1], dtype=torch.bool)
        rest[held] = False
        odds[:, held] = fit(rest.nonzero().squeeze(-1))(held)
    return odds


def surprise(odds: Tensor, adequate: Tensor) -> Tensor:
    """Minus the log of the chance that went to sources that know: log-odds (M, n) and bool (M, n) to nats (n,)."""
    chance = (soft_choice(odds, 1.0) * adequate).sum(0)
    return -chance.clamp(min=torch.finfo(chance.dtype).tiny).log()

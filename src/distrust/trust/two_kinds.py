"""The chance that a claim is right, from how many of an assistant's samples make it too. No gold is asked.

Knows shares of agreeing samples. Claims are taken to be of two kinds, and those that more samples agree with to be the right
ones: an assistant that shares a source's mistakes is believed about them. Does not know what was claimed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from distrust.errors import DataError

LEAST = 3  # samples: of two a mixture of two kinds is any of many (Teicher 1963)
ROUNDS, CLOSE = 1000, 1e-9
PRIOR = 0.5  # claims of each kind, half of whose samples agree: what keeps a kind with hardly any claims from 0 and 1


class TwoKinds(NamedTuple):
    """A mixture of two binomials."""

    right: float  # the share of claims that are of the kind that samples agree with more
    agree: float  # how often a sample agrees with such a claim
    echo: float  # how often with another one: by chance, or because both err alike

    def __call__(self, share: Tensor, samples: int) -> Tensor:
        """Chances that claims are right: shares (N,) to (N,) double; NaN stays NaN."""
        rate = torch.tensor([self.agree, self.echo], dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
        prior = torch.tensor([self.right, 1 - self.right], dtype=torch.float64).clamp(min=1e-300)
        hits = samples * share.double().unsqueeze(-1)  # (N, 1)
        return (prior.log() + hits * rate.log() + (samples - hits) * (1 - rate).log()).softmax(-1)[..., 0]


def two_kinds(share: Tensor, samples: int) -> TwoKinds:
    """Fit the mixture to shares of agreeing samples, by expectation and maximisation.

    Args:
        share: (N,) in [0, 1], as of `support`; NaN where the assistant has no say, which tells nothing.
        samples: how many each share is of, 3 or more.

    Returns:
        Where all shares are alike, there is one kind: `agree` equals `echo`, and every claim has that share as its chance.

    Raises:
        DataError: fewer samples, shares outside [0, 1], or none that is known.

    Source: Dawid and Skene 1979, of one observer who is asked several times and of two outcomes, right and wrong.
    """
    if samples < LEAST:
        raise DataError(f"{samples} samples tell no two kinds of claims apart; legal is {LEAST} or more.")
    known = share[share.isfinite()].double()
    if not len(known) or bool(((known < 0) | (known > 1)).any()):
        raise DataError("Shares of agreeing samples are numbers from 0 to 1, one or more of them.")
    mean = float(known.mean())
    if float(known.max() - known.min()) < CLOSE:
        return TwoKinds(mean, mean, mean)
    high = known > mean
    found = TwoKinds(float(high.double().mean()), float(known[high].mean()), float(known[~high].mean()))
    for _ in range(ROUNDS):
        chance, before = found(known, samples), found
        found = TwoKinds(float(chance.mean()), _rate(known, chance, samples), _rate(known, 1 - chance, samples))
        if max(abs(one - other) for one, other in zip(found, before, strict=True)) < CLOSE:
            break
    return found if found.agree >= found.echo else TwoKinds(1 - found.right, found.echo, found.agree)


def _rate(share: Tensor, of: Tensor, samples: int) -> float:
    """How often samples agree with a kind's claims: shares (n,) of claims that are of it by `of` (n,)."""
    return float(((of * share).sum() * samples + PRIOR) / (of.sum() * samples + 2 * PRIOR))

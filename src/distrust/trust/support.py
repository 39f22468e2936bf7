"""Trust in one source's claims, read off what an assistant says when asked the same.

Knows claims of both, and the assistant's probabilities. An assistant that has no say (it gave no answer, or does not know
the class that is claimed) makes the trust NaN, which is not 0: silence is no contradiction. Does not know who is right; an
assistant that shares the source's mistakes supports them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.trust.claims import label_likelihood


def support(claims: Tensor, samples: Tensor) -> Tensor:
    """Share of an assistant's samples that make the claim: (*items) and (K, *items) to (*items) in [0, 1].

    Args:
        claims: (*items) long; -1 abstains, and is supported by nobody: 0.
        samples: (K, *items) long of the assistant, in the same space; an abstention is no support and is counted.

    Returns:
        NaN where something is claimed and every sample of the assistant abstains.

    Raises:
        DataError: shapes that differ.

    Source: TA-in-the-loop card, equation A2d (agreement over k samples).
    """
    if samples.shape[1:] != claims.shape:
        raise DataError(f"An assistant's samples {tuple(samples.shape)} do not fit claims {tuple(claims.shape)}.")
    same = (samples == claims) & (claims >= 0)
    share = same.float().sum(0) / max(samples.shape[0], 1)
    return share.masked_fill((claims >= 0) & ~(samples >= 0).any(0), torch.nan)


def claim_probability(probabilities: Tensor, claims: Tensor, known: Tensor | None = None) -> Tensor:
    """An assistant's probability of each claim: (B, C) and (B,) to (B,) in [0, 1]; 0 where nothing is claimed.

    Args:
        probabilities: (B, C) of the assistant; a row of zeros where it said nothing.
        claims: (B,) long, -1 abstains.
        known: (C,) bool, the classes that the assistant knows; default all.

    Returns:
        NaN where a class is claimed that the assistant does not know, or it said nothing.

    Raises:
        DataError: shapes that differ.

    Source: TA-in-the-loop card, equation A2e (a classifier as assistant).
    """
    chance = label_likelihood(probabilities, claims)
    has_say = probabilities.sum(-1) > 0
    if known is not None:
        has_say &= known[claims.clamp(min=0)]
    return chance.masked_fill((claims >= 0) & ~has_say, torch.nan)

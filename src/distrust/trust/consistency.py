"""Trust read off one source's samples: how much they say the same.

Knows claims of S samples; a sample that gave no answer agrees with nothing, not even with another such. Knows nothing of
other sources. A source can be consistently wrong: let gold judge before acting (`evaluate.signals`).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from distrust.errors import DataError, nearest
from distrust.evidence import Evidence, votes
from distrust.labels import ABSTAIN, Candidates
from distrust.trust.distribution import entropy
from distrust.trust.votes import self_agreement

VARIANTS = ("share", "entropy")


def self_consistency(evidence: Evidence, variant: Literal["share", "entropy"] = "share") -> Tensor:
    """How much a source's S samples agree: claims (S, *items) to (*items) in [0, 1].

    Args:
        evidence: over classes or open answers; "none of these" is no answer that two samples could share.
        variant: `share` of the samples that give the most frequent answer, 1/S where all differ; or `entropy`, as
            `self_certainty` has it, 0 where all differ.

    Raises:
        DataError: another variant.

    Source: Wang et al. 2022; TA-in-the-loop card, equation A1 (a reconstruction, not the paper's text).
    """
    if variant not in VARIANTS:
        raise DataError(f"There is no self-consistency {variant!r}; {nearest(variant, VARIANTS)}.")
    claims, space = evidence.claims, evidence.space
    if isinstance(space, Candidates):
        claims = claims.where(claims != space.none_of_these, ABSTAIN)
    if variant == "share":
        return self_agreement(claims, len(space))
    return self_certainty(claims, len(space), None if isinstance(space, Candidates) else len(space))


def self_certainty(claims: Tensor, classes: int, possible: int | None) -> Tensor:
    """One minus the entropy of the samples' answers over the most it could be: (S, *items) to (*items) in [0, 1].

    Args:
        claims: (S, *items) long, -1 abstains: each abstention counts as an answer of its own.
        classes: C, of the numbers in `claims`.
        possible: how many answers an item can have, |Y|; None where answers are open. The entropy is over log min(S, |Y|);
            where that is log 1, one answer is all certainty there can be.

    Returns:
        0 where every sample abstained.

    Source: TA-in-the-loop card, equation A1, entropy variant.
    """
    samples = max(claims.shape[0], 1)
    counts = votes(claims, classes)  # (*items, C)
    spoke = counts.sum(-1)  # (*items)
    nats = entropy(counts / samples) + (samples - spoke) / samples * math.log(samples)
    most = math.log(samples if possible is None else min(samples, possible))
    certainty = (1 - nats / most).clamp(min=0) if most > 0 else torch.ones_like(nats)
    return certainty.where(spoke > 0, 0.0)


def silence(claims: Tensor) -> Tensor:
    """Share of the samples that gave no answer: (S, *items) to (*items). Its mean is the share that a parser failed on."""
    return (claims == ABSTAIN).float().mean(0) if claims.shape[0] else torch.ones(claims.shape[1:])

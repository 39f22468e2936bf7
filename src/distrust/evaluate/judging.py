"""What gold, and the other sources, say of each source.

Knows stacked claims and gold labels on the same items, abstentions honoured. Asks nobody, and knows nothing of students.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.evaluate.scores import Interval, bin_of, calibration_error, check_labels, wilson
from distrust.evidence import Evidence, Stacked, stack, votes
from distrust.labels import LabelSpace

AT_ONCE = 8_192  # items


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability diagram: answers given with a confidence in (low, high]."""

    low: float
    high: float
    items: int
    confidence: float  # their mean
    accuracy: float


@dataclass(frozen=True)
class Judgement:
    """What gold says of one source."""

    source: str
    items: int  # it was stacked on
    answered: int
    judged: int  # answered, and gold is known
    accuracy: Interval | None  # where judged; None where nothing is
    ece: Interval | None  # None where the source gave no confidence, or nothing is judged
    bins: tuple[Bin, ...]  # empty where ece is None
    confusion: Tensor  # (C, C) long: gold class, claimed class

    @property
    def coverage(self) -> float:
        """Share of items that were answered."""
        return self.answered / self.items if self.items else math.nan


def final_claims(stacked: Stacked) -> Tensor:
    """One claim per source and item: (M, B) long, -1 where all of its samples abstained.

    The most frequent claim over its samples; among equally frequent ones the most probable, then the first class.
    """
    return torch.stack(
        [
            torch.where((said >= 0).any(0), (votes(said, len(stacked.space)) + chance / 2).argmax(-1), -1)
            for said, chance in zip(stacked.claims, stacked.probabilities, strict=True)
        ]
    )


def claims_on(evidence: Sequence[Evidence], space: LabelSpace, ids: Sequence[str]) -> Tensor:
    """`final_claims` of M sources on B items: (M, B) long. Some items of one source at a time, never (M, B, C)."""
    parts = [ids[start : start + AT_ONCE] for start in range(0, max(len(ids), 1), AT_ONCE)]
    return torch.stack([torch.cat([final_claims(stack([one], space, part))[0] for part in parts]) for one in evidence])


def judge(stacked: Stacked, labels: Tensor, bootstrap: int = 1000, seed: int = 0) -> list[Judgement]:
    """Judge every source where it answered and gold is known.

    Args:
        stacked: M sources on B items, classification only.
        labels: (B,) long, -1 where gold is unknown.
        bootstrap, seed: as for `score`, for the interval of the calibration error.

    Returns:
        M judgements in the order of the sources; accuracies with Wilson's interval.

    Raises:
        DataError: labels that do not fit the items or the space.
    """
    check_labels(labels, len(stacked.ids), len(stacked.space), least=-1)
    claims = final_claims(stacked)  # (M, B)
    return [_judge_one(stacked, source, claims[source], labels, bootstrap, seed) for source in range(len(stacked))]


def agreement(claims: Tensor) -> Tensor:
    """How often two sources say the same where both answered: (M, B) long to (M, M), NaN where they never both did."""
    spoke = (claims >= 0).double()
    same = (claims.unsqueeze(1) == claims.unsqueeze(0)) & (claims >= 0).unsqueeze(1)  # (M, M, B)
    return same.double().sum(-1) / (spoke @ spoke.T)


def error_correlation(claims: Tensor, labels: Tensor) -> Tensor:
    """Whether two sources are wrong on the same items: (M, B) and (B,) long, -1 unknown, to phi (M, M) in [-1, 1].

    Over the items that both answered and whose gold is known; NaN where either is never, or always, wrong there.
    Near 0, mistakes are independent and a vote helps; near 1, the sources share them and a vote is one voice.
    """
    spoke = ((claims >= 0) & (labels >= 0)).double()  # (M, B)
    wrong = (claims != labels).double() * spoke
    both = spoke @ spoke.T  # (M, M) items
    mine, theirs = wrong @ spoke.T, spoke @ wrong.T  # wrong answers of the row's, the column's source
    spread = mine * (both - mine) * theirs * (both - theirs)
    phi = (both * (wrong @ wrong.T) - mine * theirs) / spread.sqrt()
    return torch.where(spread > 0, phi.clamp(-1, 1), torch.nan)


def reliability(confidence: Tensor, right: Tensor, bins: int = 10) -> tuple[Bin, ...]:
    """How often answers of a given confidence are right: (N,) in [0, 1] and (N,) bool to the bins that hold any."""
    place = bin_of(confidence, bins)
    found = []
    for index in sorted(set(place.tolist())):
        inside = place == index
        mean, share = float(confidence[inside].double().mean()), float(right[inside].double().mean())
        found.append(Bin(index / bins, (index + 1) / bins, int(inside.sum()), mean, share))
    return tuple(found)


def _judge_one(stacked: Stacked, source: int, claims: Tensor, labels: Tensor, bootstrap: int, seed: int) -> Judgement:
    counted = (claims >= 0) & (labels >= 0)  # (B,)
    said, gold = claims[counted], labels[counted]
    chance = stacked.probabilities[source][counted].gather(-1, said.unsqueeze(-1)).squeeze(-1)
    confusion = torch.zeros(len(stacked.space), len(stacked.space), dtype=torch.long)
    confusion.index_put_((gold, said), torch.ones_like(gold), accumulate=True)
    soft = bool((chance < 1).any())  # bare claims are all "certain", which is no statement of confidence
    return Judgement(
        source=stacked.sources[source],
        items=len(stacked.ids),
        answered=int((claims >= 0).sum()),
        judged=len(gold),
        accuracy=wilson(int((said == gold).sum()), len(gold)),
        ece=calibration_error(chance, said == gold, bootstrap, seed) if soft else None,
        bins=reliability(chance, said == gold) if soft else (),
        confusion=confusion,
    )

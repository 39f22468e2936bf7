"""The teachers on one set of items: what each claims, what gold says of it, and what they say together.

Knows which gold may judge. Knows nothing of students, of money or of pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from distrust.combine import majority_vote
from distrust.evaluate import Interval, Judgement, agreement, claims_on, error_correlation, judge, wilson
from distrust.evidence import Evidence, stack
from distrust.gold import Gold, Part
from distrust.labels import LabelSpace


@dataclass(frozen=True)
class Panel:
    """M teachers on B items."""

    names: tuple[str, ...]
    claims: Tensor  # (M, B) long, -1 abstains
    labels: Tensor  # (B,) long, -1 where gold is unknown
    judgements: tuple[Judgement, ...]
    vote_right: Tensor  # (B,) in [0, 1]: how right the majority vote is, a tie of two worth a half; 0 without gold

    @property
    def agreement(self) -> Tensor:
        """(M, M), NaN where two teachers share no item."""
        return agreement(self.claims)

    @property
    def error_correlation(self) -> Tensor:
        """(M, M), NaN where undefined."""
        return error_correlation(self.claims, self.labels)

    @property
    def heard(self) -> Tensor:
        """Items on which somebody spoke: (B,) bool."""
        return (self.claims >= 0).any(0)

    @property
    def voted(self) -> Tensor:
        """Items on which somebody spoke and gold is known: (B,) bool."""
        return self.heard & (self.labels >= 0)

    @property
    def vote_accuracy(self) -> Interval | None:
        """Over the items of `voted`, with Wilson's interval."""
        return wilson(float(self.vote_right[self.voted].sum()), int(self.voted.sum()))


def panel(evidence: Sequence[Evidence], space: LabelSpace, ids: Sequence[str], labels: Tensor | None = None) -> Panel | None:
    """Bring teachers together on items (B,) with gold (B,) long, -1 unknown; None where there is no teacher or item."""
    if not evidence or not ids:
        return None
    labels = torch.full((len(ids),), -1) if labels is None else labels
    claims = claims_on(evidence, space, ids)  # (M, B)
    known = labels >= 0
    judged = [item for item, has in zip(ids, known.tolist(), strict=True) if has]
    judgements = []
    for one, own in zip(evidence, claims, strict=True):  # gold items alone, a teacher at a time: all would be (M, B, C)
        (found,) = judge(stack([one], space, judged), labels[known])
        judgements.append(replace(found, items=len(ids), answered=int((own >= 0).sum())))
    right = torch.zeros(len(ids))
    right[known] = majority_vote(claims[:, known], len(space)).gather(-1, labels[known].unsqueeze(-1)).squeeze(-1)
    return Panel(tuple(one.source for one in evidence), claims, labels, tuple(judgements), right)


def judging_gold(gold: Gold | None) -> Part:
    """Gold that may judge teachers: the part reserved for it, else all; never an item that a prompt quotes."""
    if gold is None:
        return Part((), torch.zeros(0, dtype=torch.long))
    if "judge" in gold.reserve:
        return gold.part("judge")
    quoted = set(gold.part("prompt").ids) if "prompt" in gold.reserve else set()
    kept = [row for row, item in enumerate(gold.ids) if item not in quoted]
    return Part(tuple(gold.ids[row] for row in kept), gold.labels[torch.tensor(kept, dtype=torch.long)])

"""Several sources side by side, in one label space and on one list of items.

Knows that they stack late, by item id and by label name, to (M, *items, C), and that "does not know a class" is not "no".
Knows nothing of whom to believe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from distrust.errors import DataError
from distrust.evidence.value import Evidence, pad_samples, votes
from distrust.labels import ABSTAIN, Candidates, LabelSpace


@dataclass(frozen=True)
class Stacked:
    """Several sources on the same items, in one label space. Made by `stack`."""

    sources: tuple[str, ...]  # M names
    ids: tuple[str, ...]  # B
    space: LabelSpace
    claims: Tensor  # (M, S, *items) long, -1 abstains or was not asked
    probabilities: Tensor  # (M, *items, C), rows of zeros where nothing was said
    logits: Tensor | None  # (M, *items, C), -inf at unknown classes; None unless every source gave logits
    known: Tensor  # (M, C) bool: which classes a source knows; "does not know" is not "no"
    answered: Tensor  # (M, *items) bool

    def __len__(self) -> int:
        return len(self.sources)

    def without(self, source: int) -> Stacked:
        """The others, in their order."""
        kept = [row for row in range(len(self)) if row != source]
        return replace(
            self,
            sources=tuple(self.sources[row] for row in kept),
            claims=self.claims[kept],
            probabilities=self.probabilities[kept],
            logits=None if self.logits is None else self.logits[kept],
            known=self.known[kept],
            answered=self.answered[kept],
        )


def stack(evidence: Sequence[Evidence], space: LabelSpace, ids: Sequence[str] | None = None) -> Stacked:
    """Bring sources into one space and on one list of items.

    Args:
        evidence: one per source, each in its own LabelSpace.
        space: the common space, (C,) classes.
        ids: the items, (B,); default those of the first source. An item that a source was not asked abstains.

    Raises:
        DataError: no evidence, open candidates, or a source without a class in common with `space`.
    """
    if not evidence:
        raise DataError("There is no evidence to stack; at least one source is needed.")
    wanted = tuple(evidence[0].ids if ids is None else ids)
    parts = [_place(one, space, wanted) for one in evidence]
    for one in evidence[1:]:
        if one.claims.shape[2:] != evidence[0].claims.shape[2:]:
            raise DataError(f"{one.source} and {evidence[0].source} answer items of different lengths; pad them to one.")
    samples = max(part.claims.shape[0] for part in parts)
    claims = torch.stack([pad_samples(part.claims, samples) for part in parts])
    has_logits = all(part.logits is not None for part in parts)
    return Stacked(
        sources=tuple(one.source for one in evidence),
        ids=wanted,
        space=space,
        claims=claims,
        probabilities=torch.stack([part.probabilities for part in parts]),
        logits=torch.stack([part.logits for part in parts if part.logits is not None]) if has_logits else None,
        known=torch.stack([part.known for part in parts]),
        answered=torch.stack([part.answered for part in parts]),
    )


@dataclass(frozen=True)
class _Placed:
    claims: Tensor  # (S, *items)
    probabilities: Tensor  # (*items, C)
    logits: Tensor | None  # (*items, C)
    known: Tensor  # (C,)
    answered: Tensor  # (*items)


def _place(one: Evidence, space: LabelSpace, ids: tuple[str, ...]) -> _Placed:
    if isinstance(one.space, Candidates):
        raise DataError(f"{one.source} answers with open candidates, which have no common label space to stack in.")
    positions = one.space.positions_in(space)  # (C_own,)
    shared = [position for position in positions.tolist() if position >= 0]
    if not shared:
        raise DataError(
            f"{one.source} has no label in common with the task: it says {', '.join(one.space.names[:5])}, "
            f"the task has {', '.join(space.names[:5])}; map its labels by name in the recipe."
        )
    if len(set(shared)) < len(shared):
        raise DataError(f"{one.source} has two labels that mean the same class of the task; merge them before stacking.")
    row_of = {item: row for row, item in enumerate(one.ids)}
    rows = torch.tensor([row_of.get(item, -1) for item in ids], dtype=torch.long)  # (B,)
    asked = rows >= 0
    tail = one.claims.shape[2:]
    own = one.claims[:, rows.clamp(min=0)] if len(one) else one.claims.new_full((1, len(ids), *tail), ABSTAIN)
    claims = torch.where(own >= 0, positions[own.clamp(min=0)], ABSTAIN)
    claims = torch.where(asked.reshape(1, -1, *(1 for _ in tail)), claims, ABSTAIN)
    answered = (claims >= 0).any(0)
    probabilities = votes(claims, len(space))
    probabilities = probabilities / probabilities.sum(-1, keepdim=True).clamp(min=1)
    logits = None
    if one.logits is not None and len(one):
        dense = one.logits.dense()[rows.clamp(min=0)]  # (*items, C_own)
        kept = (positions >= 0).nonzero().squeeze(-1)
        logits = dense.new_full((*dense.shape[:-1], len(space)), -torch.inf)
        logits[..., positions[kept]] = dense[..., kept]
        logits = logits.masked_fill(~asked.reshape(-1, *(1 for _ in tail), 1), -torch.inf)
        said = (logits > -torch.inf).any(-1)  # (*items)
        probabilities = torch.where(said.unsqueeze(-1), logits.softmax(-1), probabilities.to(logits.dtype))
        # a claim without readable logits speaks as its votes; who said nothing is uniform over what it knows
        unsaid = torch.where(one.space.known_in(space), 0.0, -torch.inf).to(dense.dtype)
        logits = torch.where(said.unsqueeze(-1), logits, torch.where(answered.unsqueeze(-1), probabilities.log(), unsaid))
        answered = answered | said
    return _Placed(claims, probabilities, logits, one.space.known_in(space), answered)

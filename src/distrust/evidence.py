"""Evidence: what one source said about some items, and nothing else that is known of a source.

Knows one shape law: `items` is (B,) for classification and (B, L) for tokens; claims are (S, *items), logits
(*items, C) in the source's own label space, and several sources stack late, to (M, *items, C) in a common one.
Knows nothing of how an answer was obtained, of trust, or of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from distrust import mapped
from distrust.errors import DataError
from distrust.labels import ABSTAIN, Candidates, LabelSpace
from distrust.logits import Dense, Hidden, TopK

__all__ = ["Cost", "Dense", "Evidence", "Hidden", "Stacked", "TopK", "stack", "votes"]


@dataclass(frozen=True)
class Cost:
    """What each item's answers cost. NaN is "unknown", which is never 0."""

    calls: Tensor  # (B,) float64
    prompt_tokens: Tensor  # (B,)
    completion_tokens: Tensor  # (B,)
    money: Tensor  # (B,) in the recipe's currency

    @staticmethod
    def free(items: int) -> Cost:
        """A local teacher's price: no call, no token, no money."""
        zero = torch.zeros(items, dtype=torch.float64)
        return Cost(zero, zero, zero, zero)

    @staticmethod
    def join(costs: Sequence[Cost]) -> Cost:
        """The costs of several sets of items, in order."""
        columns = ("calls", "prompt_tokens", "completion_tokens", "money")
        return Cost(*(torch.cat([getattr(cost, name) for cost in costs]) for name in columns))

    def select(self, rows: Tensor) -> Cost:
        return Cost(self.calls[rows], self.prompt_tokens[rows], self.completion_tokens[rows], self.money[rows])


@dataclass(frozen=True)
class Evidence:
    """What ONE source said about some items.

    Args:
        source: the teacher's (student's, scout's) name.
        ids: item ids, (B,), unique.
        space: the source's own LabelSpace, or Candidates when answers are open.
        claims: (S, *items) long, S samples; -1 abstains.
        logits: Dense, TopK or Hidden over the source's own space, or None.
        features: tensors of the source's own sizes, each (B, ...), in memory or on disk; never stacked.
        texts: raw texts, (B,) lists of up to S.
        cost: what the answers cost, or None where nobody recorded it.
        notes: counts worth showing, such as {"outside the label space": 3}.

    Raises:
        DataError: shapes that do not follow the law above, claims outside the space, NaN or +inf logits.
    """

    source: str
    ids: tuple[str, ...]
    space: LabelSpace | Candidates
    claims: Tensor
    logits: Dense | TopK | Hidden | None = None
    features: Mapping[str, mapped.Column] = field(default_factory=dict)
    texts: Sequence[Sequence[str]] | None = None
    cost: Cost | None = None
    notes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        items = len(self.ids)
        if len(set(self.ids)) < items:
            raise DataError(f"{self.source} answers an item id twice; samples of one item go into claims (S, items).")
        if self.claims.dim() < 2 or self.claims.shape[1] != items or self.claims.dtype != torch.long:
            given = f"{tuple(self.claims.shape)} {self.claims.dtype}"
            raise DataError(f"{self.source}'s claims are {given}; legal is (S, {items}, ...) int64.")
        if self.claims.numel() and not bool(((self.claims >= ABSTAIN) & (self.claims < len(self.space))).all()):
            raise DataError(f"{self.source} claims a class outside its {len(self.space)} classes; legal are -1 to C - 1.")
        if isinstance(self.space, Candidates):
            self._check_candidates(self.space)
        if self.logits is not None:
            self._check_logits(self.logits)
        for name, value in self.features.items():
            if value.shape[0] != items:
                raise DataError(f"{self.source}'s feature {name!r} has {value.shape[0]} rows; legal is {items}.")
        if self.texts is not None and len(self.texts) != items:
            raise DataError(f"{self.source} has texts for {len(self.texts)} items; legal is {items}.")
        if self.cost is not None and len(self.cost.calls) != items:
            raise DataError(f"{self.source} has costs for {len(self.cost.calls)} items; legal is {items}.")

    def _check_candidates(self, space: Candidates) -> None:
        if len(space.answers) != len(self.ids):
            raise DataError(f"{self.source} has candidates for {len(space.answers)} items; legal is {len(self.ids)}.")
        listed = space.mask.expand(*self.claims.shape, -1).gather(-1, self.claims.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        if not bool((listed | (self.claims == ABSTAIN)).all()):
            raise DataError(f"{self.source} claims a candidate that its item does not list.")

    def _check_logits(self, logits: Dense | TopK | Hidden) -> None:
        values, classes = logits.given, logits.classes
        if values.shape[:-1] != self.claims.shape[1:]:
            raise DataError(
                f"{self.source}'s logits are {tuple(values.shape)}; legal is {tuple(self.claims.shape[1:])} and classes."
            )
        if classes != len(self.space):
            raise DataError(f"{self.source} has logits for {classes} classes but a space of {len(self.space)}.")
        if isinstance(logits, TopK):
            logits.check(self.source)
        wrong = values.isnan() | (values == torch.inf)
        if bool(wrong.any()):
            bad = int(wrong.reshape(len(self.ids), -1).any(-1).nonzero()[0])
            raise DataError(f"{self.source} gave a non-finite logit for item {self.ids[bad]!r}; NaN and +inf are refused.")

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: Sequence[int] | Tensor) -> Evidence:
        """The evidence on some items, by row, in the order given."""
        index = torch.as_tensor(rows, dtype=torch.long)
        listed = [int(row) for row in index]
        return replace(
            self,
            ids=tuple(self.ids[row] for row in listed),
            space=self.space.select(listed) if isinstance(self.space, Candidates) else self.space,
            claims=self.claims[:, index],
            logits=None if self.logits is None else self.logits.select(index),
            features={name: mapped.select(value, index) for name, value in self.features.items()},
            texts=None if self.texts is None else [self.texts[row] for row in listed],
            cost=None if self.cost is None else self.cost.select(index),
        )

    def on(self, ids: Sequence[str]) -> Evidence:
        """The evidence on those of `ids` that were answered, in the order of `ids`; joined by id, never by row."""
        row_of = {item: row for row, item in enumerate(self.ids)}
        return self.select([row_of[item] for item in ids if item in row_of])

    def distribution(self, temperature: float = 1.0) -> Tensor:
        """Soft answer (*items, C): softmax of the logits / temperature, else the votes' shares over samples.

        Where an item's logits are all -inf its votes speak; where it has no claim either, a row of zeros says nothing.
        """
        shares = votes(self.claims, len(self.space))
        shares = shares / shares.sum(-1, keepdim=True).clamp(min=1)
        if self.logits is None:
            return shares
        logits = self.logits.dense() / temperature
        return torch.where((logits > -torch.inf).any(-1, keepdim=True), logits.softmax(-1), shares.to(logits.dtype))


def join(parts: Sequence[Evidence]) -> Evidence:
    """What one source said of several sets of items, as one; of an item in two sets the first answer stays.

    Logits, features, texts and costs are kept where every part has them.

    Raises:
        DataError: no part, or parts of different sources or label spaces.
    """
    open_answers = all(isinstance(part.space, Candidates) for part in parts)
    alike = all(part.source == parts[0].source and (open_answers or part.space == parts[0].space) for part in parts)
    if not parts or not alike:
        raise DataError("Only what one source said in one label space can be joined.")
    seen: set[str] = set()
    fresh: list[Evidence] = []
    for part in parts:
        new = [row for row, item in enumerate(part.ids) if item not in seen]
        if new or not fresh:  # a part that tells nothing new adds no notes either
            fresh.append(part.select(new))
        seen.update(part.ids)
    samples = max(part.claims.shape[0] for part in fresh)
    dense = [part.logits.dense() for part in fresh if part.logits is not None]
    costs = [part.cost for part in fresh if part.cost is not None]
    texts = [part.texts for part in fresh if part.texts is not None]
    shared = set.intersection(*(set(part.features) for part in fresh))
    return Evidence(
        source=parts[0].source,
        ids=tuple(item for part in fresh for item in part.ids),
        space=_joined([part.space for part in fresh]),
        claims=torch.cat([_pad_samples(claims, samples) for claims in _renumbered(fresh)], 1),
        logits=Dense(torch.cat(dense)) if len(dense) == len(fresh) else None,
        features={name: mapped.concatenate([part.features[name] for part in fresh]) for name in shared},
        texts=[text for one in texts for text in one] if len(texts) == len(fresh) else None,
        cost=Cost.join(costs) if len(costs) == len(fresh) else None,
        notes={name: sum(part.notes.get(name, 0) for part in fresh) for part in fresh for name in part.notes},
    )


def _joined(spaces: Sequence[LabelSpace | Candidates]) -> LabelSpace | Candidates:
    """One label space, or all items' candidates, as wide as the widest."""
    lists = [space.answers for space in spaces if isinstance(space, Candidates)]
    if not lists:
        return spaces[0]
    return Candidates(tuple(one for answers in lists for one in answers), width=max(len(space) for space in spaces))


def _renumbered(parts: Sequence[Evidence]) -> list[Tensor]:
    """Claims of parts that become one: "none of these" is the last column, which moves where lists get wider."""
    widest = max(len(part.space) for part in parts)
    return [
        torch.where(part.claims == len(part.space) - 1, widest - 1, part.claims)
        if isinstance(part.space, Candidates)
        else part.claims
        for part in parts
    ]


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
    claims = torch.stack([_pad_samples(part.claims, samples) for part in parts])
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


def votes(claims: Tensor, classes: int) -> Tensor:
    """Count claims per class, abstentions left out: claims (V, *items) of V voters or samples to (*items, C)."""
    counts = torch.zeros(*claims.shape[1:], classes, device=claims.device)
    voters_last = claims.movedim(0, -1)  # (*items, V)
    return counts.scatter_add_(-1, voters_last.clamp(min=0), (voters_last >= 0).to(counts.dtype))


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


def _pad_samples(claims: Tensor, samples: int) -> Tensor:
    missing = samples - claims.shape[0]
    return torch.cat([claims, claims.new_full((missing, *claims.shape[1:]), ABSTAIN)]) if missing else claims

"""Evidence: what one source said about some items, and nothing else that is known of a source.

Knows one shape law: `items` is (B,) for classification and (B, L) for tokens; claims are (S, *items), logits
(*items, C) in the source's own label space. Knows nothing of other sources.
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


def votes(claims: Tensor, classes: int) -> Tensor:
    """Count claims per class, abstentions left out: claims (V, *items) of V voters or samples to (*items, C)."""
    counts = torch.zeros(*claims.shape[1:], classes, device=claims.device)
    voters_last = claims.movedim(0, -1)  # (*items, V)
    return counts.scatter_add_(-1, voters_last.clamp(min=0), (voters_last >= 0).to(counts.dtype))


def pad_samples(claims: Tensor, samples: int) -> Tensor:
    """Claims (S, *items) as (samples, *items): what is missing abstains."""
    missing = samples - claims.shape[0]
    return torch.cat([claims, claims.new_full((missing, *claims.shape[1:]), ABSTAIN)]) if missing else claims

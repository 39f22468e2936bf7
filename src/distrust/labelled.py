"""Items with what a student is told of them: the training set that trust makes.

Knows targets, gold labels, weights and whatever else a method tells of an item. Does not know how they came about, or
what a loss does with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from distrust import mapped
from distrust.data import Items, concatenate, row_numbers
from distrust.errors import DataError
from distrust.files import fingerprint
from distrust.labels import ABSTAIN, Candidates


@dataclass(frozen=True)
class Labelled:
    """A training set.

    Args:
        items: B items.
        targets: (B, C) what trust made of the teachers' claims; a row of zeros tells nothing.
        labels: (B,) long gold classes, -1 where there is no gold.
        weight: (B,) how much each item counts; 0 leaves it out.
        extra: more tensors (B, ...) by name, in memory or on disk, for the terms of a method's own objective.
        texts: where answers are open, each item's completions: targets weigh them in place of classes, labels name none.

    Raises:
        DataError: shapes that do not fit, or targets and weights that are negative or not finite.
    """

    items: Items
    targets: Tensor
    labels: Tensor
    weight: Tensor
    extra: Mapping[str, mapped.Column] = field(default_factory=dict)
    texts: Candidates | None = None

    def __post_init__(self) -> None:
        if not len(self.items) == len(self.targets) == len(self.labels) == len(self.weight):
            raise DataError(
                f"There are {len(self.items)} items, {len(self.targets)} targets, {len(self.labels)} labels and "
                f"{len(self.weight)} weights; each item has one of each."
            )
        for name, value in self.extra.items():
            if len(value) != len(self.items):
                raise DataError(f"{name!r} has {len(value)} rows for {len(self.items)} items; each item has one.")
        if self.texts is not None and (len(self.texts.answers), len(self.texts)) != tuple(self.targets.shape):
            width = (len(self.texts.answers), len(self.texts))
            raise DataError(f"Targets are {tuple(self.targets.shape)} over completions {width}; both have one size.")
        for name, value in (("target", self.targets), ("weight", self.weight)):
            if not bool((value.isfinite() & (value >= 0)).all()):
                raise DataError(f"A {name} is negative or not finite; legal is any number from 0 on.")

    def __len__(self) -> int:
        return len(self.items)

    def __add__(self, other: Labelled) -> Labelled:
        """Both training sets, in order. Raises DataError where they share an item, or tell different things of one."""
        if self.extra.keys() != other.extra.keys():
            raise DataError(f"One training set tells {sorted(self.extra)} of its items, the other {sorted(other.extra)}.")
        texts, width = _both(self.texts, other.texts), self.targets.shape[1]
        width = max(width, other.targets.shape[1]) if texts else width
        return Labelled(
            concatenate(self.items, other.items),
            torch.cat([pad(one.targets, (0, width - one.targets.shape[1])) for one in (self, other)]),
            torch.cat([self.labels, other.labels]),
            torch.cat([self.weight, other.weight]),
            {name: mapped.concatenate([value, other.extra[name]]) for name, value in self.extra.items()},
            texts,
        )

    def select(self, rows: Sequence[int] | Tensor) -> Labelled:
        """Some items by row, in the order given."""
        index = torch.tensor(row_numbers(rows), dtype=torch.long)
        extra = {name: mapped.select(value, index) for name, value in self.extra.items()}
        texts = None if self.texts is None else self.texts.select(index.tolist())
        return Labelled(self.items.select(index), self.targets[index], self.labels[index], self.weight[index], extra, texts)

    def relabelled(self, other: Labelled) -> Labelled:
        """The same items in the same order; those of `other`, all of them among these, are told what `other` tells."""
        replaced = set(other.items.ids)
        kept = [row for row, item in enumerate(self.items.ids) if item not in replaced]
        joined = self.select(kept) + other
        return joined.select(joined.items.rows(self.items.ids))

    def told_as(self, targets: Tensor) -> Labelled:
        """The same items, told other targets (B, C)."""
        return replace(self, targets=targets)

    @property
    def has_targets(self) -> bool:
        """Whether any item has a target."""
        return bool((self.targets > 0).any())

    @property
    def has_labels(self) -> bool:
        """Whether any item has a gold label."""
        return bool((self.labels >= 0).any())

    def told(self) -> Labelled:
        """Only the items that tell something: a target or a gold label, and a weight above 0."""
        tells = ((self.targets.sum(-1) > 0) | (self.labels >= 0)) & (self.weight > 0)
        return self if bool(tells.all()) else self.select(tells.nonzero().squeeze(-1))

    @cached_property
    def key(self) -> str:
        """Fingerprint of everything a fit on this set depends on."""
        told = {name: value.key if isinstance(value, mapped.Mapped) else value for name, value in self.extra.items()}
        extra = [part for name in sorted(told) for part in (name, told[name])]
        texts = [] if self.texts is None else ["texts", [list(one) for one in self.texts.answers]]
        return fingerprint(self.items.key, self.targets, self.labels, self.weight, *extra, *texts)


def from_targets(items: Items, targets: Tensor) -> Labelled:
    """A training set without gold, every item counting once: targets (B, C)."""
    return Labelled(items, targets, torch.full((len(items),), ABSTAIN), torch.ones(len(items)))


def from_gold(items: Items, labels: Tensor, classes: int, weight: float = 1.0) -> Labelled:
    """A training set of gold alone: labels (B,) long, every item counting `weight`."""
    return Labelled(items, torch.zeros(len(items), classes), labels, torch.full((len(items),), weight))


def from_texts(items: Items, texts: Sequence[Mapping[str, float]]) -> Labelled:
    """A training set of completions: B maps from a text to its weight; an empty map tells nothing."""
    told = Candidates(tuple(tuple(one) for one in texts))
    targets = torch.zeros(len(items), len(told))
    for row, one in enumerate(texts):
        targets[row, : len(one)] = torch.tensor(list(one.values()))
    return Labelled(items, targets, torch.full((len(items),), ABSTAIN), torch.ones(len(items)), texts=told)


def _both(first: Candidates | None, second: Candidates | None) -> Candidates | None:
    if (first is None) != (second is None):
        raise DataError("Classes and completions cannot be mixed in one training set.")
    if first is None or second is None:
        return None
    return Candidates(first.answers + second.answers, width=max(len(first), len(second)))

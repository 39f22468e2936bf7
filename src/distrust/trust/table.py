"""A label table and what is fitted on it: the one interface of all trust estimators.

    table = Table(claims, classes, gold_rows, gold_labels)     # claims (M, N): teachers by items, -1 abstains
    fitted = DawidSkene().fit(table)                           # any `Estimator`: a frozen dataclass of its options
    fitted.posterior(claims)                                   # any `Fitted`: (M, B) claims to (B, C) chances

Fitting never changes the estimator or the table, reads no file and no global random state, and counts a gold item once.
An abstention says nothing, and "does not know this class" is not "says it is not this class". Knows nothing of files,
of how teachers are asked, or of training. `distrust.trust.TrustModel` is the same for a numpy table (items, annotators).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from distrust.errors import DataError
from distrust.labels import ABSTAIN

NOBODY = torch.zeros(0, dtype=torch.long)


@dataclass(frozen=True)
class Table:
    """What M teachers claim of N items, and gold for a few of them.

    Args:
        claims: (M, N) long, class indices; -1 abstains.
        classes: C.
        gold_rows: (n,) long, which items have gold; none twice.
        gold_labels: (n,) long, their classes.
        known: (M, C) bool, which classes a teacher knows; None: all.
        probabilities: (M, N, C) what each teacher's own distribution says, rows of zeros where it says nothing; or None.
        names: the teachers', for sentences; default their numbers.

    Raises:
        DataError: shapes that do not fit, no teacher or item, a claim or gold label that is no class, a gold item twice, a
            claim of a class that its teacher does not know, a row of probabilities that is no distribution.
    """

    claims: Tensor
    classes: int
    gold_rows: Tensor = NOBODY
    gold_labels: Tensor = NOBODY
    known: Tensor | None = None
    probabilities: Tensor | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_claims(self.claims, None, self.classes)
        teachers, items = self.claims.shape
        if not items:
            raise DataError("The table holds no item; trust is fitted on one or more.")
        if self.gold_rows.dim() != 1 or self.gold_rows.shape != self.gold_labels.shape:
            shapes = f"{tuple(self.gold_rows.shape)} rows and {tuple(self.gold_labels.shape)} labels"
            raise DataError(f"Gold has {shapes}; legal is (n,) of both.")
        if len(set(self.gold_rows.tolist())) < len(self.gold_rows):
            raise DataError("A gold item is listed twice; each has one label.")
        _within(self.gold_rows, items, f"A gold row is none of the table's {items} items")
        _within(self.gold_labels, self.classes, f"A gold label is outside the {self.classes} classes")
        if len(self.names) not in (0, teachers):
            raise DataError(f"There are {len(self.names)} names for {teachers} teachers; legal is one each, or none.")
        if self.known is not None:
            self._check_known(self.known, (teachers, self.classes))
        if self.probabilities is not None:
            check_probabilities(self.probabilities, self.claims, self.classes)

    def _check_known(self, known: Tensor, legal: tuple[int, int]) -> None:
        if known.shape != legal or known.dtype != torch.bool:
            raise DataError(f"`known` is {tuple(known.shape)} {known.dtype}; legal is {legal} bool, teachers by classes.")
        for teacher, (claims, knows) in enumerate(zip(self.claims, known, strict=True)):
            if not bool(knows[claims[claims >= 0]].all()):
                raise DataError(f"{self.name(teacher)} claims a class it is said not to know; mend `known` or the claims.")

    @property
    def gold_claims(self) -> Tensor:
        """Claims on the gold items: (M, n)."""
        return self.claims[:, self.gold_rows]

    def patterns(self) -> Patterns:
        """The distinct columns of claims, told apart by gold too, and how often each occurs: what EM needs of a table."""
        gold = torch.full((self.claims.shape[1],), ABSTAIN)
        gold[self.gold_rows] = self.gold_labels
        found, of_item = torch.unique(torch.cat([self.claims, gold.unsqueeze(0)]), dim=1, return_inverse=True)
        said = indicators(found[:-1], self.classes)
        return Patterns(found[:-1], said, found[-1], of_item, of_item.bincount(minlength=found.shape[1]).double())

    def with_gold(self, rows: Tensor, labels: Tensor) -> Table:
        """The same table with other gold: its rows (n,) long and their labels (n,) long."""
        return replace(self, gold_rows=rows, gold_labels=labels)

    def name(self, teacher: int) -> str:
        """What to call a teacher in a sentence."""
        return self.names[teacher] if self.names else f"teacher {teacher}"


@dataclass(frozen=True)
class Patterns:
    """Items that look alike to every model of claims, as one: P patterns of a table."""

    claims: Tensor  # (M, P) long
    said: Tensor  # (M, P, C) double, the claims as 0 and 1
    gold: Tensor  # (P,) long, -1 where there is none
    of_item: Tensor  # (N,) long: each item's pattern
    count: Tensor  # (P,) double: its items

    def clamped(self, posterior: Tensor) -> Tensor:
        """What gold says where it says something, rescaled: (P, C, ...) to the same; other rows as they are."""
        told = self.gold >= 0
        says = one_hot(self.gold[told], posterior.shape[1]).reshape(-1, posterior.shape[1], *[1] * (posterior.dim() - 2))
        inside = posterior[told].clamp(min=torch.finfo(posterior.dtype).tiny) * says
        changed = posterior.clone()
        changed[told] = inside / inside.flatten(1).sum(1).reshape(-1, *[1] * (posterior.dim() - 1))
        return changed


class Fitted(Protocol):
    """Trust that was fitted: what claims amount to."""

    def posterior(self, claims: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """P(class | claims): (M, B) long claims, and (M, B, C) probabilities where they were fitted on, to (B, C).

        Where all abstain it says what it believes of an item nobody spoke of: its prior.

        Raises:
            DataError: claims of another number of teachers or classes, or probabilities missing.
        """


class Estimator(Protocol):
    """How much to believe, as a rule: options in, trust out."""

    @property
    def needs_gold(self) -> bool:
        """Whether it refuses a table without gold."""

    def fit(self, table: Table) -> Fitted:
        """Fit on a table. Raises DataError where it needs gold and there is none."""


def check_claims(claims: Tensor, teachers: int | None, classes: int) -> None:
    """Refuse claims that are not (M, N) class indices of so many teachers (None: of at least one). Raises DataError."""
    if claims.dim() != 2 or claims.dtype != torch.long or not len(claims):
        raise DataError(f"Claims are {tuple(claims.shape)} {claims.dtype}; legal is (teachers, items) int64.")
    if teachers is not None and len(claims) != teachers:
        raise DataError(f"There are claims of {len(claims)} teachers but trust was fitted on {teachers}.")
    if classes < 1 or bool(((claims < -1) | (claims >= classes)).any()):
        raise DataError(f"A claim is outside the {classes} classes; legal are -1 (abstains) to {classes - 1}.")


def check_probabilities(probabilities: Tensor, claims: Tensor, classes: int) -> None:
    """Refuse what is not a distribution, or a row of zeros, for each teacher and item. Raises DataError."""
    if probabilities.shape != (*claims.shape, classes):
        raise DataError(f"Probabilities are {tuple(probabilities.shape)}; legal is {(*claims.shape, classes)}.")
    total = probabilities.sum(-1)
    legal = ((total - 1).abs() < 1e-3) | (total == 0)
    if not bool(legal.all()) or bool((probabilities < 0).any()):
        raise DataError("A row of probabilities is no distribution; each is at least 0 and sums to 1, or is all zeros.")


def need_gold(table: Table, who: str) -> None:
    """Refuse to fit on gold where there is none. Raises DataError."""
    if not len(table.gold_rows):
        raise DataError(f"The estimator {who} is fitted on gold, and there is none; dawid-skene and auto need none.")


def indicators(claims: Tensor, classes: int) -> Tensor:
    """Claims as 0 and 1: (M, N) to (M, N, C) double, rows of zeros where a teacher abstains."""
    return one_hot(claims.clamp(min=0), classes).double() * (claims >= 0).unsqueeze(-1)


def _within(values: Tensor, limit: int, sentence: str) -> None:
    if values.dtype != torch.long or bool(((values < 0) | (values >= limit)).any()):
        raise DataError(f"{sentence}; legal are 0 to {limit - 1}, int64.")

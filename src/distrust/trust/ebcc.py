"""EBCC: correlated annotators, as subtypes of every class. Li, Rubinstein and Cohn 2019 (ICML).

Knows a label table. An item of class c is of one of G hidden subtypes, and teachers are independent given the subtype
alone: easy and hard items of one class make teachers err together. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.trust.table import Patterns, Table, check_claims, indicators
from distrust.trust.voting import Majority

SETTLED = 1e-3  # largest change of any item's posterior at which the paper's code stops


@dataclass(frozen=True)
class Subtypes:
    """EBCC, fitted: expected logarithms under the variational posterior."""

    subtypes: Tensor  # (C, G): of class and subtype
    given: Tensor  # (M, C, G, C): of teacher m claiming j, given class and subtype

    def posterior(self, claims: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """As `Fitted.posterior`; from claims alone."""
        check_claims(claims, len(self.given), len(self.subtypes))
        return _joint(indicators(claims, len(self.subtypes)), self.subtypes, self.given).sum(-1)


@dataclass(frozen=True)
class Ebcc:
    """Mean-field variational EBCC; items with gold stay what gold says.

    Args:
        groups: G, subtypes a class.
        subtype_prior, class_prior: Dirichlet a_π (over all subtypes together) and α (each class).
        right, wrong: Dirichlet a_v and b_v of a teacher's claims, at the true class and elsewhere.
        rounds: at most so many updates.
        seed: of the first responsibilities; one draw an item and subtype, the same for every class.

    The defaults are the paper's.
    """

    groups: int = 10
    subtype_prior: float = 0.1
    class_prior: float = 1.0
    right: float = 4.0
    wrong: float = 1.0
    rounds: int = 500
    seed: int = 0
    needs_gold = False

    def fit(self, table: Table) -> Subtypes:
        """Update until no posterior moves."""
        patterns = table.patterns()
        start = Majority().fit(table).posterior(patterns.claims)  # (P, C)
        drawn = torch.zeros(len(start), self.groups, dtype=torch.float64)
        drawn.index_add_(0, patterns.of_item, self._draw(len(patterns.of_item)))
        joint = patterns.clamped(start.unsqueeze(-1) * (drawn / patterns.count.unsqueeze(-1)).unsqueeze(1))  # (P, C, G)
        for _ in range(self.rounds):
            found = self._update(patterns, joint, table.known)
            before, joint = joint.sum(-1), patterns.clamped(_joint(patterns.said, found.subtypes, found.given))
            if float((joint.sum(-1) - before).abs().amax()) < SETTLED:
                break
        return found

    def _draw(self, items: int) -> Tensor:
        """Responsibilities of the subtypes at the start, uniform on the simplex: (N, G)."""
        generator = torch.Generator().manual_seed(self.seed)
        drawn = -torch.rand(items, self.groups, generator=generator, dtype=torch.float64).neg().log1p()
        return drawn / drawn.sum(-1, keepdim=True)

    def _update(self, patterns: Patterns, joint: Tensor, known: Tensor | None) -> Subtypes:
        """Dirichlet posteriors of all parameters under the present responsibilities, as expected logarithms."""
        teachers, _, classes = patterns.said.shape
        mass = joint * patterns.count.reshape(-1, 1, 1)  # (P, C, G) items
        mixed = _expected_log(self.subtype_prior / self.groups + mass.sum(0))  # (C, G)
        shares = _expected_log(self.class_prior + mass.sum((0, 2)))  # (C,)
        counts = mass.flatten(1).T @ patterns.said  # (M, C·G, C)
        prior = self.wrong + (self.right - self.wrong) * torch.eye(classes, dtype=torch.float64)  # (C, C)
        legal = prior.expand(teachers, 1, classes, classes).transpose(1, 2)  # (M, C, 1, C)
        if known is not None:  # a class it does not know is never claimed, and cannot be the right answer
            legal = legal * known.reshape(teachers, 1, 1, classes)
            legal = torch.where(
                known.reshape(teachers, classes, 1, 1), legal, self.wrong * known.reshape(teachers, 1, 1, -1)
            )
        given = _expected_log(legal + counts.reshape(teachers, classes, -1, classes))
        return Subtypes(shares.unsqueeze(-1) + mixed, given)


def _expected_log(concentration: Tensor) -> Tensor:
    """E log of a Dirichlet, along the last dimension; a concentration of 0 is "never", and finite."""
    found = torch.digamma(concentration) - torch.digamma(concentration.sum(-1, keepdim=True))
    return torch.where(concentration > 0, found, 0.0)


def _joint(said: Tensor, subtypes: Tensor, given: Tensor) -> Tensor:
    """P(class, subtype | claims): (M, N, C), (C, G), (M, C, G, C) to (N, C, G)."""
    score = subtypes.flatten().expand(said.shape[1], -1)  # (N, C·G)
    for claimed, tables in zip(said, given, strict=True):
        score = score + claimed @ tables.flatten(0, 1).T
    return score.softmax(-1).reshape(-1, *subtypes.shape)

"""Who takes which class for which: error models counted on gold, or found from the claims alone by EM.

Knows a label table. Both estimators take teachers as independent given the class: right where each errs in its own
way, wrong where several copy one another (`distrust.evaluate.error_correlation` shows that). Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distrust import combine
from distrust.trust.table import Patterns, Table, check_claims, need_gold
from distrust.trust.voting import Majority

SETTLED = 1e-4  # largest change of any posterior at which EM stops


@dataclass(frozen=True)
class ErrorModel:
    """`combine.Confusions`, fitted: given_true (M, C, C), prior (C,)."""

    given_true: Tensor
    prior: Tensor

    def posterior(self, claims: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """As `Fitted.posterior`; by naive Bayes, from claims alone."""
        check_claims(claims, len(self.given_true), len(self.prior))
        return combine.Confusions(self.given_true, self.prior).posterior(claims)


@dataclass(frozen=True)
class Confusions:
    """Gold-fitted naive Bayes: `combine.fit_confusions`.

    Args:
        shrinkage: pseudo-counts a true class lends to the teacher's overall behaviour.
    """

    shrinkage: float = 2.0
    needs_gold = True

    def fit(self, table: Table) -> ErrorModel:
        """Count confusions on gold. Raises DataError without gold."""
        need_gold(table, "confusions")
        gold, labels = table.gold_claims, table.gold_labels
        found = combine.fit_confusions(gold, labels, table.claims, table.classes, self.shrinkage, table.known)
        return ErrorModel(found.given_true, found.prior)


@dataclass(frozen=True)
class DawidSkene:
    """Confusions by EM over all items. Items with gold stay what gold says, and EM starts from the confusions on gold.

    Source: Dawid and Skene 1979; started from the majority's shares where there is no gold, as there. The M-step
    shrinks as `combine.fit_confusions` does: at shrinkage 0 it is theirs.

    Args:
        shrinkage: pseudo-counts a true class lends to the teacher's overall behaviour.
        rounds: at most so many rounds of EM.
    """

    shrinkage: float = 0.5
    rounds: int = 300
    needs_gold = False

    def fit(self, table: Table) -> ErrorModel:
        """Run EM until no posterior moves."""
        patterns = table.patterns()
        posterior = patterns.clamped(self._start(table, patterns.claims))  # (P, C)
        for _ in range(self.rounds):
            found = self._maximise(patterns, posterior, table.known)
            before, posterior = posterior, patterns.clamped(found.posterior(patterns.claims))
            if float((posterior - before).abs().amax()) < SETTLED:
                break
        return found

    def _start(self, table: Table, claims: Tensor) -> Tensor:
        """First guess of every pattern's class: (M, P) to (P, C)."""
        if not len(table.gold_rows):
            return Majority().fit(table).posterior(claims)
        counted = Confusions().fit(table).given_true.double()  # the prior of a few gold items is left out: EM finds it
        return ErrorModel(counted, torch.full((table.classes,), 1 / table.classes).double()).posterior(claims)

    def _maximise(self, patterns: Patterns, posterior: Tensor, known: Tensor | None) -> ErrorModel:
        """Error models under the present posterior (P, C)."""
        mass = posterior * patterns.count.unsqueeze(-1)  # (P, C) items
        counts = mass.T @ patterns.said  # (M, C, C)
        habits = patterns.count @ patterns.said  # (M, C)
        tables = [
            combine.shrunk(counts[source], habits[source], self.shrinkage, None if known is None else known[source])
            for source in range(len(counts))
        ]
        classes = mass.sum(0) + 1 / mass.shape[1]
        return ErrorModel(torch.stack(tables), classes / classes.sum())

"""auto: several estimators, each believed by how well it foretells gold that it was not fitted on.

Knows a label table and the other estimators. The weights are those of Bayesian model averaging with cross-fitted
log-loss for evidence (pseudo-BMA, Yao et al. 2018): a few gold items are enough to leave an estimator that is sure and
wrong, and none is enough to rely on a lucky one. Knows nothing of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.trust.confusions import Confusions, DawidSkene, ErrorModel
from distrust.trust.table import Estimator, Fitted, Table, indicators
from distrust.trust.voting import Majority, Stacking, WeightedVote

LEAST = 1e-6  # of a chance inside a log
HEADSTART = 2.0  # nats by which any other must foretell gold better than what is safe without gold
EXCESS = 0.1  # share of the items by which two teachers may agree more often than an error model explains
POWERS = tuple(math.exp(step / 10) for step in range(-25, 11))  # that a posterior is raised to, to calibrate it
SPREAD = 0.7  # of a power's logarithm, before gold is seen
TOLD = 0.01  # least weight that the sentence names


@dataclass(frozen=True)
class Blend:
    """auto, fitted: chances are the product of the parts' posteriors, each to its power, scaled to sum to one."""

    names: tuple[str, ...]
    parts: tuple[Fitted, ...]
    powers: Tensor  # (K,): weight times calibration
    weights: Tensor  # (K,), sum to one
    losses: Tensor  # (K,) cross-fitted log-loss on gold, nats an item; NaN where there was too little gold
    why: str  # one sentence

    def posterior(self, claims: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """As `Fitted.posterior`."""
        score = torch.zeros(())
        for power, part in zip(self.powers, self.parts, strict=True):
            score = score + power * _log(part.posterior(claims, probabilities))
        return score.softmax(-1)


@dataclass(frozen=True)
class Auto:
    """Blend the estimators by cross-fitted log-loss on gold; without gold, what is safe.

    Safe is Dawid-Skene, unless there are fewer than three teachers, most of them only ever claim one class, or some
    agree more often than its error models explain (copies of one another): then it is the majority.

    Args:
        folds: of cross-fitting.
        seed: which gold items share a fold.
    """

    folds: int = 5
    seed: int = 0
    needs_gold = False

    def fit(self, table: Table) -> Blend:
        """Fit all, judge each on gold it did not see, and blend."""
        compared = int((table.claims >= 0).any(-1).sum()) > 2  # teachers who speak at all
        errors: dict[str, Estimator] = {"dawid-skene": DawidSkene()} if compared else {"confusions": Confusions()}
        candidates: dict[str, Estimator] = {"majority": Majority(), **errors}
        candidates |= {"weighted-vote": WeightedVote(), "stacking": Stacking()}
        folds = self._folds(table)
        if not folds:
            candidates = {name: one for name, one in candidates.items() if not one.needs_gold}
        fitted = {name: one.fit(table) for name, one in candidates.items()}
        safe, reason = _safe(table, fitted.get("dawid-skene"))
        if not folds:
            return _alone(safe, fitted[safe], f"auto relies on {safe} without gold to judge by: {reason}.")
        held = {name: _cross_fitted(one, table, folds) for name, one in candidates.items()}
        return _blend(fitted, {name: _calibrated(one, table.gold_labels) for name, one in held.items()}, safe, reason, table)

    def _folds(self, table: Table) -> list[tuple[Tensor, Tensor]]:
        """Positions within gold to fit on and to judge on, a pair a fold."""
        space = LabelSpace(tuple(str(one) for one in range(table.classes)))
        ids = tuple(str(one) for one in range(len(table.gold_rows)))
        gold = Gold(ids, table.gold_labels, space, seed=self.seed)
        return [
            (torch.tensor([int(one) for one in fold.fit.ids]), torch.tensor([int(one) for one in fold.held.ids]))
            for fold in gold.folds("trust", self.folds)
        ]


def _cross_fitted(estimator: Estimator, table: Table, folds: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Posteriors of the gold items, each by a fit that did not see its label: (n, C)."""
    found = torch.zeros(len(table.gold_rows), table.classes, dtype=torch.float64)
    for fit, held in folds:
        rows = table.gold_rows[held]
        part = estimator.fit(table.with_gold(table.gold_rows[fit], table.gold_labels[fit]))
        chances = None if table.probabilities is None else table.probabilities[:, rows]
        found[held] = part.posterior(table.claims[:, rows], chances).double()
    return found


def _calibrated(chances: Tensor, labels: Tensor) -> tuple[float, float, float]:
    """The power that makes posteriors (n, C) foretell gold best, what that costs in nats, and the log-loss as it was."""
    scores = _log(chances)
    row = torch.arange(len(labels))

    def cost(power: float) -> float:
        drawn = 0.5 * (math.log(power) / SPREAD) ** 2
        return float(-(power * scores).log_softmax(-1)[row, labels].sum()) + drawn

    best = min(POWERS, key=cost)
    return best, cost(best), cost(1.0) / len(labels)


def _blend(
    fitted: dict[str, Fitted], judged: dict[str, tuple[float, float, float]], safe: str, reason: str, table: Table
) -> Blend:
    names = tuple(fitted)
    power = torch.tensor([judged[name][0] for name in names], dtype=torch.float64)
    evidence = torch.tensor([HEADSTART * (name == safe) - judged[name][1] for name in names], dtype=torch.float64)
    loss = torch.tensor([judged[name][2] for name in names], dtype=torch.float64)
    weights = evidence.softmax(-1)
    order = sorted(range(len(names)), key=lambda place: -float(weights[place]))
    shares = " + ".join(f"{float(weights[one]):.0%} {names[one]}" for one in order if float(weights[one]) >= TOLD)
    told = ", ".join(f"{names[one]} {float(loss[one]):.2f}" for one in order)
    why = (
        f"auto blends {shares}, by cross-fitted log-loss on {len(table.gold_rows)} gold items ({told}); "
        f"without gold it would rely on {safe}, since {reason}."
    )
    return Blend(names, tuple(fitted.values()), weights * power, weights, loss, why)


def _alone(name: str, part: Fitted, why: str) -> Blend:
    one = torch.ones(1, dtype=torch.float64)
    return Blend((name,), (part,), one, one, one * math.nan, why)


def _safe(table: Table, fitted: Fitted | None) -> tuple[str, str]:
    """What to rely on without gold, and why."""
    if not isinstance(fitted, ErrorModel):
        return "majority", "only three teachers or more can be compared with each other"
    sizes = [len(set(claims[claims >= 0].tolist())) for claims in table.claims if bool((claims >= 0).any())]
    single = sizes.count(1)
    if 2 * single > len(sizes):
        return "majority", f"{single} of {len(sizes)} teachers only ever claim one class"
    excess, first, second = _excess(table, fitted)
    if excess > 0:
        return (
            "majority",
            f"{table.name(first)} and {table.name(second)} agree more often than independent error models explain",
        )
    return "dawid-skene", "the teachers agree as often as independent error models explain"


def _excess(table: Table, fitted: ErrorModel) -> tuple[float, int, int]:
    """The two teachers who agree most beyond what the error models explain, and by how much beyond what is allowed."""
    said = indicators(table.claims, table.classes)
    both = said.sum(-1) @ said.sum(-1).T  # (M, M) items that both answered
    found = torch.einsum("anc,bnc->ab", said, said) / both.clamp(min=1)
    expected = torch.einsum("c,acj,bcj->ab", fitted.prior, fitted.given_true, fitted.given_true)
    noise = 1.5 / both.clamp(min=1).sqrt()  # three standard errors of a share
    beyond = (found - expected - noise.clamp(min=EXCESS)).fill_diagonal_(-1)
    place = int(beyond.argmax())
    return float(beyond.flatten()[place]), place // len(beyond), place % len(beyond)


def _log(chances: Tensor) -> Tensor:
    return chances.double().clamp(min=LEAST).log()

"""What methods of several teachers share: a lesson of logits and labels, and γ · label + α · teachers to learn it by.

Knows runs, gold, and what stands for a label where nobody gave one. Does not know how a method weighs its teachers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from distrust import combine, losses
from distrust.data import Items
from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.evidence import Evidence, Stacked
from distrust.labelled import Labelled
from distrust.labels import ABSTAIN
from distrust.methods.believed import Heard, heard, posterior, softened
from distrust.methods.voted import GoldWeight
from distrust.objective import Batch, Objective, Term
from distrust.recipe import Strict
from distrust.run import Run
from distrust.trust import ESTIMATORS
from distrust.trust.label_weights import shared

DOUBT = 0.01  # share of a bare claim that is spread over all classes: a certain mistake stays finite
LEAST = -100.0  # log-probability below which a class is as good as ruled out


class Several(Strict):
    """Options of every method of several teachers."""

    temperature: float = Field(4.0, gt=0, description="softens teachers and student alike; the loss is scaled by its square")
    gamma: float = Field(1.0, ge=0, description="weight of cross-entropy to the label: gold, or what stands for it")
    alpha: float = Field(1.0, ge=0, description="weight of what the teachers say")
    gold_weight: GoldWeight = 1.0

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if not self.gamma and not self.alpha:
            raise ValueError("gamma and alpha are both 0, which leaves nothing to learn from; one is above 0")
        return self


@dataclass(frozen=True)
class Lesson:
    """N items as M teachers and gold speak of them: the pool, and gold items outside it."""

    items: Items
    evidence: tuple[Evidence, ...]  # M
    stacked: Stacked
    logits: Tensor  # (M, N, C), finite at classes a teacher knows where it answered, else -inf
    gold: Tensor  # (N,) long: a person's label, -1 where none serves training
    labels: Tensor  # (N, C) gold, else the posterior of a fitted trust; a row of zeros where nothing stands for a label
    counted: Tensor  # (N,) how much each item counts

    def told(self, targets: Tensor, weights: Tensor | None = None, **extra: Tensor) -> Labelled:
        """A training set: targets (N, C) of the teachers; weights (M, N) that made them, for the report."""
        more = {**extra} if weights is None else {"weights": weights.T.contiguous(), **extra}
        if not self.by_gold_alone:
            more["label"] = self.labels
        return Labelled(self.items, targets, self.gold, self.counted, more)

    def mean(self, weights: Tensor, temperature: float) -> Tensor:
        """The weighted mean of the softened teachers: weights (M, N) to targets (N, C)."""
        return combine.weighted_mean(softened(self.stacked, temperature), weights, self.stacked.known)

    def read(self, read: Callable[[Tensor], Tensor]) -> Lesson:
        """The same with claims read otherwise: `read` makes of logits (M, N, C) log-probabilities of the same shape."""
        logits = read(self.logits)
        chances = torch.where(self.stacked.answered.unsqueeze(-1), logits.exp(), 0.0)
        known = (logits > -torch.inf).any(1)
        return replace(self, logits=logits, stacked=replace(self.stacked, logits=logits, probabilities=chances, known=known))

    @property
    def by_gold_alone(self) -> bool:
        """Whether every label is a person's."""
        return bool((self.labels.sum(-1)[self.gold < 0] == 0).all())


def lesson(run: Run, options: Several) -> Lesson:
    """Hear all teachers, and find what stands for the label of items without gold.

    That is the posterior of the trust estimator `auto`, fitted on the teachers' claims and on gold; of one teacher there is
    none, since it could only repeat what the teacher says. The report says what stood for a label.

    Raises:
        RunError: no teacher, or open answers.
    """
    found = heard(run, "trust", *(["train"] if options.gold_weight else []))
    count, classes = len(found.items), len(run.space)
    part = run.gold.part("train")
    gold = torch.full((count,), ABSTAIN)
    if options.gold_weight and len(part):
        gold[found.items.rows(part.ids)] = part.labels
    known = (gold >= 0).unsqueeze(-1)
    labels = torch.nn.functional.one_hot(gold.clamp(min=0), classes) * known
    if len(run.teachers) > 1 and not bool(known.all()):
        spoken = found.stacked.answered.any(0).unsqueeze(-1)
        labels = torch.where(known, labels, spoken * posterior(run, found.stacked, "auto", ESTIMATORS["auto"]))
        run.note(_said(run, int(known.sum()), count))
    counted = torch.where(known.squeeze(-1), options.gold_weight, 1.0)
    inside = torch.arange(count) < len(run.pool)  # gold outside the pool that only trust was fitted on is not learned from
    counted = torch.where(inside | known.squeeze(-1), counted, 0.0)
    return Lesson(found.items, found.evidence, found.stacked, _logits(found), gold, labels.float(), counted)


def objective(told: Labelled, options: Several) -> Objective:
    """γ · CE(label) + α · T² · CE(teachers' mean at T): CA-MKD, equations 3 and 6, of a lesson's training set.

    As cross-entropies: the gradients are those of the divergences.

    Raises:
        RunError: no term is left, where no teacher says anything and gamma is 0, or there is no label and alpha is 0.
    """
    known = default_objective(told, options.temperature).terms
    if "label" in told.extra:
        known = {**known, "gold": Term(_to_label)}
    weights = {"target": options.alpha, "gold": options.gamma}
    terms = {name: replace(term, weight=weights[name]) for name, term in known.items() if weights[name]}
    if not terms:
        raise RunError("There is nothing to learn: no label and alpha 0, or no teacher's answer and gamma 0.")
    return Objective(terms)


def also(run: Run, here: Lesson, weights: Tensor, temperature: float, said: Lesson | None = None) -> None:
    """Keep for the report what the student might have been told: by all alike, and without each teacher.

    Args:
        here: the lesson, whose mean by these weights (M, N) the student is told.
        said: the lesson as the teachers said it, where `here` reads them otherwise.
    """
    plain = here if said is None else said
    run.alternatives["all alike"] = partial(_otherwise, plain, plain.stacked.answered.float(), temperature)
    for place, name in enumerate(here.stacked.sources if len(weights) > 1 else ()):
        others = weights * (torch.arange(len(weights)) != place).unsqueeze(-1)
        run.alternatives[f"without {name}"] = partial(_otherwise, here, others, temperature)


def _otherwise(here: Lesson, heard: Tensor, temperature: float) -> Labelled:
    return here.told(here.mean(shared(torch.ones_like(heard), heard), temperature))


def _to_label(logits: Tensor, batch: Batch) -> Tensor:
    return losses.cross_entropy(logits, batch["label"])


def _logits(found: Heard) -> Tensor:
    """Logits at temperature 1 of all teachers (M, N, C); of those who only claim, of their votes with a little doubt."""
    stacked = found.stacked
    said = []
    for evidence, shares, known in zip(found.evidence, stacked.probabilities, stacked.known, strict=True):
        if evidence.logits is None:
            shares = (1 - DOUBT) * shares + DOUBT * known / known.sum()
        said.append(shares)
    logs = torch.stack(said).log().clamp(min=LEAST)
    speaks = stacked.answered.unsqueeze(-1) & stacked.known.unsqueeze(1)
    return logs.masked_fill(~speaks, -torch.inf)


def _said(run: Run, gold: int, items: int) -> str:
    found = len(run.gold.part("trust"))
    by = f"fitted on {found} gold labels" if found else "fitted on the claims alone, since there is no gold"
    return f"{items - gold} of {items} items have no gold label; a posterior of the trust `auto`, {by}, stands for it."

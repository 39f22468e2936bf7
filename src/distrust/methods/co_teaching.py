"""co-teaching: two students, each learning from the items of small loss that the other picks. Han et al. 2018.

A student that has memorised a mistake finds its loss small; the other one has memorised others.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from distrust import combine
from distrust.distillation import default_objective
from distrust.evaluate import final_claims, wilson
from distrust.evidence import stack
from distrust.labelled import Labelled
from distrust.methods.voted import GoldWeight, voted
from distrust.objective import Batch, Loss, Objective, Term
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student

FORGET_RATE = 0.2  # where nothing is known of the teachers' errors


class CoTeaching(Strict):
    """Options of co-teaching."""

    forget_rate: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of every batch left out; default: the teachers' error on gold, or .2 without gold",
    )
    ramp_epochs: float = Field(
        2.0, gt=0, description="over so many epochs that share rises from 0: before, no loss says much"
    )
    gold_weight: GoldWeight = 1.0


def co_teaching(run: Run, options: CoTeaching) -> Student:
    """Train both on the same batches; the first is the student."""
    told = run.with_gold(voted(run), options.gold_weight)
    rate = _error_on_gold(run) if options.forget_rate is None else options.forget_rate
    chosen = options.model_copy(update={"forget_rate": rate})
    ramp = options.ramp_epochs / run.options.num_train_epochs  # as a share of the whole
    objectives = {mine: _objective(told, other, rate, ramp) for mine, other in (("student", "other"), ("other", "student"))}
    return run.fit_together(objectives, told, chosen)[0]


def _objective(told: Labelled, other: str, rate: float, ramp: float) -> Objective:
    """The ordinary one, a claim counting only where the other student's loss is small; gold always counts."""
    plain = default_objective(told)
    return Objective({**plain.terms, "target": Term(_exchanged(plain.terms["target"].loss, other, rate, ramp))})


def _exchanged(loss: Loss, other: str, rate: float, ramp: float) -> Loss:
    """A loss on the share R(e) = 1 - min(rate · e / E_k, rate) of a batch's told items, the mean over them unchanged."""

    def chosen(logits: Tensor, batch: Batch) -> Tensor:
        told = batch["targets"].sum(-1) > 0  # (n,) gold items have no target
        theirs = torch.where(told, loss(batch[f"{other}.logits"], batch), torch.inf)
        place = theirs.argsort(stable=True).argsort()  # (n,) 0 for the smallest
        forget = rate * (batch["progress"] / ramp).clamp(max=1)
        count = told.sum()
        kept = ((1 - forget) * count).round().clamp(min=1)
        return torch.where(place < kept, loss(logits, batch) * (count / kept), 0)

    return chosen


def _error_on_gold(run: Run) -> float:
    """How often the vote is wrong on the gold that serves trust; .2 where there is none, or nothing was claimed of it."""
    part = run.gold.part("trust")
    items = run.gold_items.select(run.gold_items.rows(part.ids))
    if not len(part):
        return FORGET_RATE
    said = stack([run.ask(teacher, items) for teacher in run.teachers], run.space, part.ids)
    claims = final_claims(said)
    right = (
        combine.majority_vote(claims, len(run.space)).gather(-1, part.labels.unsqueeze(-1)).squeeze(-1) == 1
    )  # a tie is wrong
    spoken = int((claims >= 0).any(0).sum())
    likely = wilson(int(right.sum()), spoken)
    if likely is None:
        return FORGET_RATE
    run.warn(
        f"forget_rate is the teachers' error on {spoken} gold items, which is between {1 - likely.high:.2f} and "
        f"{1 - likely.low:.2f} (95 %)."
    )
    return (spoken - int(right.sum()) + 1) / (spoken + 2)  # Laplace: never all of a batch, and never none

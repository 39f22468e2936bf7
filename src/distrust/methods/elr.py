"""elr: a student held to what it said early, before it memorised errors. Early-learning regularisation, Liu et al. 2020."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from distrust.distillation import default_objective
from distrust.methods.voted import GoldWeight, voted
from distrust.objective import Batch, Objective, Term
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student

FLOOR = 1e-4  # of a probability, and of its complement, as in the authors' code: the logarithm stays finite


class Elr(Strict):
    """Options of elr."""

    strength: float = Field(
        3.0, ge=0, description="λ of the regulariser; 0: plain distillation (the paper: 3, or 7 for 100 classes)"
    )
    beta: float = Field(0.7, ge=0, lt=1, description="how slowly the memory of what was said moves (the paper: .7, or .9)")
    gold_weight: GoldWeight = 1.0


def elr(run: Run, options: Elr) -> Student:
    """Cross-entropy to the claims, plus λ · log(1 - ⟨p, t⟩) with t the memory of the student's own predictions."""
    told = run.with_gold(voted(run), options.gold_weight)
    memory = Memory(len(told.told()), len(run.space), options.beta)

    def early(logits: Tensor, batch: Batch) -> Tensor:
        claimed = batch["targets"].sum(-1) > 0  # (n,) gold needs no early learning
        return torch.where(claimed, memory(logits, batch["row"]), 0)

    terms = {**default_objective(told).terms, "early": Term(early, options.strength)}
    return run.fit("student", told, Objective(terms, nn.ModuleDict({"memory": memory})), options)


class Memory(nn.Module):
    """A running mean of every item's predictions, and the regulariser that follows from it.

    Args:
        items, classes: its size; rows are those of the training set, not of a batch.
        beta: t ← β · t + (1 - β) · p at each visit, from zeros.
    """

    said: Tensor  # (B, C): a buffer, so that it is saved and resumed with the student

    def __init__(self, items: int, classes: int, beta: float) -> None:
        super().__init__()
        self.beta = beta
        self.register_buffer("said", torch.zeros(items, classes))

    def forward(self, logits: Tensor, row: Tensor) -> Tensor:
        """Move the memory of rows (n,) and return log(1 - ⟨p, t⟩): logits (n, C) to (n,). Liu et al. 2020, section 4.

        Minimising it draws p towards t: its gradient grows as the student keeps agreeing with its own past.
        """
        chance = logits.softmax(-1).clamp(FLOOR, 1 - FLOOR)  # (n, C)
        now = chance.detach()
        said = self.beta * self.said[row] + (1 - self.beta) * now / now.sum(-1, keepdim=True)
        self.said[row] = said
        return (1 - (said * chance).sum(-1)).log()

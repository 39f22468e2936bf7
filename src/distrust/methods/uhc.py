"""uhc: a unified student that agrees with every specialist over that one's classes. Vongkulbhisal et al. 2019 (CVPR)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from distrust.distillation import default_objective
from distrust.losses import forward_kl
from distrust.methods.specialists import Specialists, gather, told
from distrust.methods.voted import GoldWeight
from distrust.objective import Batch, Objective, Term
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class Uhc(Strict):
    """Options of uhc."""

    temperature: float = Field(1.0, gt=0, description="softens teachers and student alike; the loss is scaled by its square")
    gold_weight: GoldWeight = 1.0


def uhc(run: Run, options: Uhc) -> Student:
    """Σ_i T² · KL( p_i ‖ p_S renormalised over the classes of i ): of other classes i says nothing."""
    here = gather(run)
    said = torch.cat([one.logits for one in here.members], 1)  # (N, ΣC_own)
    training = told(run, here, _anybody(here), options.gold_weight)
    training = replace(training, extra={"said": said})
    terms = {"teachers": Term(Agreeing([one.columns for one in here.members], options.temperature))}
    gold = {name: term for name, term in default_objective(training).terms.items() if name == "gold"}
    return run.fit("student", training, Objective(terms | gold), options)


@dataclass(frozen=True)
class Agreeing:
    """The loss towards each teacher over its own classes, summed.

    Args:
        columns: (C_own,) long for each teacher, where its classes stand among the student's.
        temperature: T.
    """

    columns: list[Tensor]
    temperature: float

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """Logits (n, C) and the batch's `said` (n, ΣC_own), -inf where one said nothing, to (n,); 0 where gold tells."""
        total = torch.zeros(len(logits), dtype=logits.dtype, device=logits.device)
        start = 0
        for own in self.columns:
            theirs = batch["said"][:, start : start + len(own)].to(logits.dtype)
            total = total + forward_kl(logits[:, own.to(logits.device)], theirs, self.temperature)
            start += len(own)
        return total if "labels" not in batch else total.masked_fill(batch["labels"] >= 0, 0.0)


def _anybody(here: Specialists) -> Tensor:
    """(N, C): the classes of those who said anything, evenly; what the report shows, and which items tell something."""
    spoke = torch.stack([one.chances.sum(-1) > 0 for one in here.members]).float()  # (M, N)
    heard = spoke.T @ here.known.float()
    return heard / heard.sum(-1, keepdim=True).clamp(min=1)

"""averaged: all teachers alike, AVER. The reference that every way of weighing teachers must beat."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust import combine
from distrust.methods.several import Lesson, Several, also, lesson, objective
from distrust.run import Run
from distrust.students import Student


class Averaged(Several):
    """Options of averaged."""

    average: Literal["losses", "logits"] = Field(
        "losses", description="`losses`: of the teachers' losses, which is that to their mean; `logits`: of their logits"
    )


def averaged(run: Run, options: Averaged) -> Student:
    """γ · CE(label) + α · (1/M) Σ_k T² · KL(teacher k ‖ student), or one divergence from the mean of their logits."""
    here = lesson(run, options)
    weights = combine.uniform(here.stacked.answered)
    targets = here.mean(weights, options.temperature) if options.average == "losses" else _of_logits(here, options)
    also(run, here, weights, options.temperature)
    told = here.told(targets, weights)
    return run.fit("student", told, objective(told, options), options)


def _of_logits(here: Lesson, options: Averaged) -> Tensor:
    """softmax(mean_k z_k / T): targets (N, C). A class is averaged over the teachers that know it."""
    knows = here.logits > -torch.inf  # (M, N, C)
    total = torch.where(knows, here.logits, 0.0).sum(0)
    heard = knows.sum(0)  # (N, C)
    mean = torch.where(heard > 0, total / heard.clamp(min=1), -torch.inf)
    said = (heard > 0).any(-1, keepdim=True)
    return torch.where(said, (torch.where(said, mean, 0.0) / options.temperature).softmax(-1), 0.0)

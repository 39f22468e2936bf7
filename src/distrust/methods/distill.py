"""distill: learn from what the teachers say, mixed with gold. Hinton et al. 2015, and its label-noise correction.

`confusions` believes a claim as far as gold says that this teacher is right when it says so: the class posterior under
the teacher's error model (Dawid and Skene 1979), with the confusions counted on gold instead of found by EM.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust import combine
from distrust.evidence import Stacked, stack
from distrust.labelled import from_targets
from distrust.recipe import Strict
from distrust.run import Run, default_objective
from distrust.students import Student


class Distill(Strict):
    """Options of distill."""

    targets: Literal["soft", "hard", "confusions"] = Field(
        "soft", description="`soft`: mean distribution; `hard`: majority vote; `confusions`: posterior fitted on gold"
    )
    temperature: float = Field(1.0, gt=0, description="softens teachers and student alike; the loss is scaled by its square")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")
    shrinkage: float = Field(2.0, gt=0, description="for `confusions`: pseudo-counts per class against its gold")


def distill(run: Run, options: Distill) -> Student:
    """Train on the teachers' combined targets and on gold."""
    stacked = run.stacked()
    told = from_targets(run.pool, _targets(run, stacked, options))
    return run.fit("student", run.with_gold(told, options.gold_weight), default_objective(options.temperature), options)


def _targets(run: Run, stacked: Stacked, options: Distill) -> Tensor:
    """(M, *items, C) to targets (N, C)."""
    if options.targets == "hard":
        return combine.majority_vote(_claims(stacked), len(run.space))
    if options.targets == "confusions":
        return _posterior(run, stacked, options)
    softened = _soften(stacked, options.temperature)
    return combine.weighted_mean(softened, combine.uniform(stacked.answered))


def _posterior(run: Run, stacked: Stacked, options: Distill) -> Tensor:
    part = run.gold.part("trust")
    items = run.gold_items.select(run.gold_items.rows(part.ids))
    on_gold = stack([run.ask(teacher, items) for teacher in run.teachers], run.space, part.ids)
    fitted = combine.fit_confusions(_claims(on_gold), part.labels, _claims(stacked), len(run.space), options.shrinkage)
    return fitted.posterior(_claims(stacked)) * stacked.answered.any(0).unsqueeze(-1)  # nobody spoke: nothing is told


def _claims(stacked: Stacked) -> Tensor:
    """One claim a source: its samples' majority, the first sample's on a tie: (M, S, N) to (M, N)."""
    samples = stacked.claims
    if samples.shape[1] == 1:
        return samples[:, 0]
    counts = (samples.unsqueeze(1) == samples.unsqueeze(2)).sum(2) * (samples >= 0)  # (M, S, N) who says the same
    return samples.gather(1, counts.argmax(1, keepdim=True)).squeeze(1)


def _soften(stacked: Stacked, temperature: float) -> Tensor:
    """Probabilities at a temperature: (M, N, C). Softmax(log p / T) is softmax(z / T) for any logits z of p."""
    if temperature == 1.0:
        return stacked.probabilities
    if stacked.logits is not None:
        softened = (stacked.logits / temperature).softmax(-1)
        return torch.where(stacked.answered.unsqueeze(-1), softened, torch.zeros_like(softened))
    powered = stacked.probabilities ** (1 / temperature)
    return powered / powered.sum(-1, keepdim=True).clamp(min=torch.finfo(powered.dtype).tiny)

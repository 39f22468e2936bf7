"""concatenated: distillation from all specialists' logits side by side, as if they were one teacher's. MUKA's vanilla KD.

The honest baseline of every way of merging specialists.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from distrust.distillation import default_objective
from distrust.methods.specialists import Specialists, gather, told
from distrust.methods.voted import GoldWeight
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class Concatenated(Strict):
    """Options of concatenated."""

    temperature: float = Field(1.0, gt=0, description="softens teachers and student alike; the loss is scaled by its square")
    gold_weight: GoldWeight = 1.0


def concatenated(run: Run, options: Concatenated) -> Student:
    """T² · KL( softmax(concat_i z_i / T) ‖ softmax(z_S / T) ): MUKA card, VKD."""
    here = gather(run)
    training = told(run, here, side_by_side(here, options.temperature), options.gold_weight)
    return run.fit("student", training, default_objective(training, options.temperature), options)


def side_by_side(here: Specialists, temperature: float) -> Tensor:
    """softmax over the union of the classes: targets (N, C). A class that several teachers know has their mean logit.

    Rows of zeros where nobody said anything. A class that nobody knows gets nothing.
    """
    total = torch.zeros(len(here.items), len(here.space))
    heard = torch.zeros(len(here.items), len(here.space))
    for one in here.members:
        said = one.logits > -torch.inf
        total.index_add_(1, one.columns, one.logits.masked_fill(~said, 0.0).to(total.dtype))
        heard.index_add_(1, one.columns, said.to(heard.dtype))
    mean = (total / heard.clamp(min=1) / temperature).masked_fill(heard == 0, -torch.inf)
    said = (heard > 0).any(-1, keepdim=True)
    return torch.where(said, mean.masked_fill(~said, 0.0).softmax(-1), 0.0)

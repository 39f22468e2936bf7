"""padded-average: the mean of what specialists say, zero where a class is none of theirs. The weak baseline."""

from __future__ import annotations

import torch

from distrust.combine import uniform
from distrust.methods.specialists import gather, told
from distrust.methods.voted import GoldWeight
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class PaddedAverage(Strict):
    """Options of padded-average."""

    gold_weight: GoldWeight = 1.0


def padded_average(run: Run, options: PaddedAverage) -> Student:
    """(1/M) Σ_i pad(p_i): it takes "does not know" for "no", which is what the other methods do not."""
    here = gather(run)
    weights = uniform(torch.stack([one.chances.sum(-1) > 0 for one in here.members]))
    return run.fit("student", told(run, here, here.target(weights), options.gold_weight, weights), options=options)

"""mckd: two halves of the pool, each relabelled by a student of the other. Zhao et al. 2024 (arXiv 2311.08640).

No student relabels what it was trained on, so none repeats a mistake because it has memorised it.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from distrust.claimed import told_by
from distrust.methods.voted import GoldWeight, classes, voted
from distrust.processes import mix
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class Mckd(Strict):
    """Options of mckd."""

    stages: Literal[2, 3] = Field(2, description="how often is trained: pairs of students on halves, then one on all")
    gold_weight: GoldWeight = 1.0


def mckd(run: Run, options: Mckd) -> Student:
    """Train a pair on two random halves, let each relabel the other's, again at each stage; the last trains on all."""
    pool = voted(run, texts=True)
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(mix(run.seed, 2)))
    one, two = order.chunk(2)
    for stage in range(1, options.stages):
        relabelled = pool
        for name, own, other in (("a", one, two), ("b", two, one)):
            student = run.fit(f"{name}{stage}", run.with_gold(pool.select(own), options.gold_weight))
            unseen = pool.items.select(other)
            relabelled = relabelled.relabelled(told_by([run.ask(student, unseen)], unseen, classes(run)))
        pool = relabelled
    return run.fit("student", run.with_gold(pool, options.gold_weight))

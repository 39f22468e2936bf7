"""small-loss: claims of small loss are believed, the others replaced by degrees. DivideMix's split, Li et al. 2020.

Without its MixMatch, its augmentation and its second network: what is left is how far to believe a claim.
"""

from __future__ import annotations

from pydantic import Field

from distrust import losses
from distrust.methods.voted import GoldWeight, doubtable, voted
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student
from distrust.trust.claims import clean_probability


class SmallLoss(Strict):
    """Options of small-loss."""

    scout_epochs: int = Field(2, gt=0, description="warm-up: how long the scout learns before losses are compared")
    gold_weight: GoldWeight = 1.0


def small_loss(run: Run, options: SmallLoss) -> Student:
    """Scout, loss of every claim, w = P(clean | loss), and targets w · claim + (1 - w) · the scout's own prediction."""
    pool = doubtable(run, voted(run))
    scout = run.fit("scout", run.with_gold(pool, options.gold_weight), epochs=options.scout_epochs)
    said = run.ask(scout, pool.items)
    assert said.logits is not None, "students answer with logits"
    loss = losses.cross_entropy(said.logits.dense(), pool.targets)  # (N,)
    clean = clean_probability(loss, run.seed).unsqueeze(-1)  # (N, 1) w
    targets = clean * pool.targets + (1 - clean) * said.distribution()
    return run.fit("student", run.with_gold(pool.told_as(targets), options.gold_weight))

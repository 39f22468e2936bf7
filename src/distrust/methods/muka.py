"""muka: specialists with different classes become one student of them all. MUKA, Li et al. 2021 (arXiv 2112.07327).

Nobody labels the items. How sure a specialist is over passes with dropout says whether it knows an item; the surest one is
believed, as far as it is ahead of the next. docs/muka.md says what is the paper's and what is ours.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from distrust.methods.adequate import scored
from distrust.methods.specialists import gather, told
from distrust.methods.voted import GoldWeight
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student
from distrust.trust.adequacy import lead

LEAST = 1e-6  # of an item's weight, as in the authors' code: an item that nobody leads on stays counted


class Muka(Strict):
    """Options of muka."""

    target: Literal["hard", "soft"] = Field(
        "hard", description="`hard`: what the surest teacher says; `soft`: the teachers mixed by their scores"
    )
    score: Literal["mc_entropy", "auto", "entropy", "energy", "max_logit", "neighbours", "mahalanobis", "disagreement"] = (
        Field(
            "mc_entropy",
            description="what tells who knows an item: entropy over passes with dropout, as in the paper; `auto`: fitted "
            "and weighed by gold, without gold by agreement; or another of docs/muka.md",
        )
    )
    passes: int = Field(16, gt=0, description="with dropout; 1: one pass without, as in the paper's released code")
    margin: bool = Field(True, description="an item counts as far as the surest teacher is ahead of the next")
    normalise_margin: bool = Field(False, description="divide these weights by their mean over the items")
    tau: float = Field(0.2, gt=0, description="of `soft`: how sharply scores in [0, 1] mix the teachers")
    scouts: bool = Field(
        True, description="`auto` also asks two students, each about the half of the items that the other learned from"
    )
    gold_weight: GoldWeight = 1.0

    @model_validator(mode="after")
    def _passes_can_differ(self) -> Muka:
        if self.score == "disagreement" and self.passes == 1:
            raise ValueError("score disagreement is between passes, and there is one; set passes to 2 or more")
        return self


def muka(run: Run, options: Muka) -> Student:
    """Score, choose or mix, weigh, and train: E[ω(x) · KL(q ‖ p_S)], the card's equation 8, at temperature 1."""
    here = gather(run)
    known = scored(run, here, options.score, options.passes, options.scouts)
    weights = known.weights(options.target == "hard", options.tau)  # (M, N), equation 5 or 6
    targets = here.target(weights)  # (N, C)
    if options.margin:
        ahead = lead(known.on_one_scale).clamp(min=LEAST)  # (N,), equation 7
        scale = ahead.mean() if options.normalise_margin else 1.0
        targets = targets * (ahead / scale).unsqueeze(-1)  # the loss is linear in the target, and its mean is over all items
    return run.fit("student", told(run, here, targets, options.gold_weight, weights), options=options)

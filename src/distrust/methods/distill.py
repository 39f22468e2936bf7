"""distill: learn from what the teachers say, mixed with gold. Hinton et al. 2015, and its label-noise correction.

`trust` names who says how far to believe whom: an estimator of `distrust.trust`, fitted on the teachers' claims and on
gold, whose posterior is the target. The fitted trust stays in the run's folder as `trust.json`.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from distrust import combine
from distrust.claimed import majority, told_by
from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.evaluate import final_claims
from distrust.evidence import Stacked
from distrust.labelled import Labelled, from_targets
from distrust.methods.believed import heard, posterior, softened
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student
from distrust.trust import ESTIMATORS, Confusions, Estimator


class Distill(Strict):
    """Options of distill."""

    trust: Literal["alike", "auto", "majority", "dawid-skene", "ebcc", "confusions", "weighted-vote", "stacking"] = Field(
        "alike",
        description="`alike`: every teacher that answers; `confusions`: by each one's class confusions on gold; "
        "`auto`: blends or picks estimators by gold; or another estimator of docs/trust.md",
    )
    targets: Literal["soft", "hard"] = Field(
        "soft", description="`soft`: the combined distribution; `hard`: its most likely class (of teachers alike: the vote)"
    )
    temperature: float = Field(1.0, gt=0, description="softens teachers and student alike; the loss is scaled by its square")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")
    shrinkage: float = Field(2.0, gt=0, description="of `confusions`: pseudo-counts per class against its gold")

    @model_validator(mode="after")
    def _temperature_softens_something(self) -> Distill:
        if self.temperature != 1 and (self.trust, self.targets) != ("alike", "soft"):
            raise ValueError(
                "temperature softens what teachers say: with trust other than `alike` or targets `hard` it must be 1"
            )
        return self


def distill(run: Run, options: Distill) -> Student:
    """Train on the teachers' combined targets and on gold. Raises RunError, before asking, without the gold it needs."""
    if run.answers is not None:
        told = run.with_gold(_texts(run, options), options.gold_weight)
        return run.fit("student", told, options=options)
    if _estimator(options).needs_gold and not len(run.gold.part("trust")):
        raise RunError(f"trust: {options.trust} is fitted on gold, and there is none for it; give gold, or set trust: auto.")
    stacked = run.stacked() if options.trust == "alike" else heard(run, "trust").stacked
    told = _told(run, stacked, options)
    if len(stacked) > 1:
        for place, name in enumerate(stacked.sources):
            run.alternatives[f"without {name}"] = partial(_told, run, stacked.without(place), options, keep=False)
        if options.trust != "alike":
            alike = options.model_copy(update={"trust": "alike"})
            run.alternatives["all alike"] = partial(_told, run, stacked, alike)
    return run.fit("student", told, default_objective(told, options.temperature), options)


def _texts(run: Run, options: Distill) -> Labelled:
    """What teachers who write are believed to: every one's text, weighted alike, or the text of the answer most give."""
    if options.trust != "alike" or options.temperature != 1:
        raise RunError(
            "Where answers are open, teachers are believed alike and nothing is softened: leave trust and temperature."
        )
    if not run.teachers:
        raise RunError("The method distill asks teachers and the recipe names none; name one, or use the method gold-only.")
    said = run.evidence()
    return majority(said, run.pool) if options.targets == "hard" else told_by(said, run.pool)


def _told(run: Run, stacked: Stacked, options: Distill, keep: bool = True) -> Labelled:
    """The pool told what the teachers' claims amount to, with gold."""
    targets = _targets(run, stacked, options, keep)[: len(run.pool)]
    return run.with_gold(from_targets(run.pool, targets), options.gold_weight)


def _targets(run: Run, stacked: Stacked, options: Distill, keep: bool) -> Tensor:
    """What claims on the pool, and on gold behind it, amount to: targets (N, C), rows of zeros where nobody spoke."""
    claims = final_claims(stacked)
    if options.trust != "alike":
        chances = posterior(run, stacked, options.trust, _estimator(options), keep)
        spoken = (claims >= 0).any(0).unsqueeze(-1)
        return spoken * (_likeliest(chances) if options.targets == "hard" else chances)
    if options.targets == "hard":
        return combine.majority_vote(claims, len(run.space))
    said = softened(stacked, options.temperature)
    return combine.weighted_mean(said, combine.uniform(stacked.answered), stacked.known)


def _estimator(options: Distill) -> Estimator:
    """The estimator that `trust` names; teachers alike need none, and the majority stands for them."""
    if options.trust == "confusions":
        return Confusions(options.shrinkage)
    return ESTIMATORS["majority" if options.trust == "alike" else options.trust]


def _likeliest(posterior: Tensor) -> Tensor:
    """One-hot of the likeliest class, the first of equals: (N, C) to (N, C)."""
    return torch.nn.functional.one_hot(posterior.argmax(-1), posterior.shape[-1]).to(posterior.dtype)

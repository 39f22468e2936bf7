"""distill: learn from what the teachers say, mixed with gold. Hinton et al. 2015, and its label-noise correction.

`trust: confusions` believes a claim as far as gold says that this teacher is right when it says so: the class posterior
under the teacher's error model (Dawid and Skene 1979), with the confusions counted on gold instead of found by EM.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from distrust import combine
from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.evaluate import final_claims
from distrust.evidence import Stacked, stack
from distrust.labelled import from_targets
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class Distill(Strict):
    """Options of distill."""

    trust: Literal["alike", "confusions"] = Field(
        "alike", description="`alike`: every teacher that answers; `confusions`: by each one's class confusions on gold"
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
            raise ValueError("temperature softens what teachers say: with trust `confusions` or targets `hard` it must be 1")
        return self


def distill(run: Run, options: Distill) -> Student:
    """Train on the teachers' combined targets and on gold. Raises RunError, before asking, without the gold it needs."""
    if options.trust == "confusions" and not len(run.gold.part("trust")):
        raise RunError("Class confusions are counted on gold, and there is none for it; give gold, or set trust: alike.")
    stacked = run.stacked()
    told = run.with_gold(from_targets(run.pool, _targets(run, stacked, options)), options.gold_weight)
    return run.fit("student", told, default_objective(told, options.temperature), options)


def _targets(run: Run, stacked: Stacked, options: Distill) -> Tensor:
    """What the teachers' claims amount to: targets (N, C), rows of zeros where nobody spoke."""
    if options.trust == "confusions":
        posterior = _posterior(run, stacked, options)
        spoken = (final_claims(stacked) >= 0).any(0).unsqueeze(-1)
        return spoken * (_likeliest(posterior) if options.targets == "hard" else posterior)
    if options.targets == "hard":
        return combine.majority_vote(final_claims(stacked), len(run.space))
    softened = _soften(stacked, options.temperature)
    return combine.weighted_mean(softened, combine.uniform(stacked.answered), stacked.known)


def _posterior(run: Run, stacked: Stacked, options: Distill) -> Tensor:
    """P(class | claims) of every item (N, C), the confusions counted on the gold that serves trust."""
    part = run.gold.part("trust")
    items = run.gold_items.select(run.gold_items.rows(part.ids))
    on_gold = stack([run.ask(teacher, items) for teacher in run.teachers], run.space, part.ids)
    claims, judged = final_claims(stacked), final_claims(on_gold)  # (M, N), (M, n)
    for source, said in zip(stacked.sources, judged, strict=True):
        if not bool((said >= 0).any()):
            raise RunError(f"{source} claims nothing about any gold item, so its confusions are unknown; use trust: alike.")
    fitted = combine.fit_confusions(judged, part.labels, claims, len(run.space), options.shrinkage)
    return fitted.posterior(claims)


def _likeliest(posterior: Tensor) -> Tensor:
    """One-hot of the likeliest class, the first of equals: (N, C) to (N, C)."""
    return torch.nn.functional.one_hot(posterior.argmax(-1), posterior.shape[-1]).to(posterior.dtype)


def _soften(stacked: Stacked, temperature: float) -> Tensor:
    """Probabilities at a temperature: (M, N, C). Softmax(log p / T) is softmax(z / T) for any logits z of p."""
    if temperature == 1.0:
        return stacked.probabilities
    if stacked.logits is not None:
        softened = (stacked.logits / temperature).softmax(-1)
        return torch.where(stacked.answered.unsqueeze(-1), softened, torch.zeros_like(softened))
    powered = stacked.probabilities ** (1 / temperature)
    return powered / powered.sum(-1, keepdim=True).clamp(min=torch.finfo(powered.dtype).tiny)

"""gkd: a student follows a language model's probabilities of tokens, on given texts and on its own. Agarwal et al. 2024.

With `on_policy: 0` it is distillation word by word (Kim and Rush 2016, Sanh et al. 2019); with 1 and the forward divergence
on-policy KD; ImitKD (Lin et al. 2020) mixes both. The paper's mixture with fine-tuning on gold is its `gold_weight` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field, model_validator

from distrust.files import fingerprint
from distrust.losses.chunks import Projected
from distrust.methods.language import TUTOR, Divergence, own_texts, probe, pull, shared, texts, tutor
from distrust.objective import Batch
from distrust.processes import mix
from distrust.recipe import Strict
from distrust.rows import Completions
from distrust.run import Run
from distrust.sides import Joint, Parts, Side
from distrust.students import Student
from distrust.students.causal import writer


class Gkd(Strict):
    """Options of gkd."""

    divergence: Divergence = Field("forward", description="from the teacher; docs/losses.md has their formulas")
    share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="of `jensen-shannon` beta, of the skew divergences skew, of `symmetric` the reverse's, of `adaptive` "
        "the head's; default: as in docs/losses.md",
    )
    on_policy: float = Field(0.5, ge=0, le=1, description="share of the steps on texts that the student writes itself")
    sampling_temperature: float = Field(1.0, gt=0, description="of those texts")
    temperature: float = Field(1.0, gt=0, description="softens both sides in the divergence")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")

    @model_validator(mode="after")
    def _share_is_of_something(self) -> Gkd:
        if self.share is not None and self.divergence not in shared():
            raise ValueError(f"`share` is of {', '.join(shared())}; the divergence {self.divergence} has none")
        return self


def gkd(run: Run, options: Gkd) -> Student:
    """Train a student on the teacher's probabilities. Raises RunError, before training, where the two do not go together."""
    its = tutor(run)
    told = texts(run, [its], options.gold_weight)
    towards, on = pull(options.divergence, options.share, options.temperature, its.vocabulary), probe(told, its)

    def losses(said: Mapping[str, Projected], batch: Batch) -> Mapping[str, Parts]:
        return {"student": {"divergence": towards(said["student"], said[TUTOR], batch)}}

    def rewrite(sides: Sequence[Side], rows: Completions, chosen: torch.Tensor, step: int, _: int) -> Completions:
        draw = torch.Generator().manual_seed(mix(run.seed, step, 3))
        if float(torch.rand((), generator=draw)) >= options.on_policy:
            return rows.select(chosen)
        student = writer(sides[0].student)
        return rows.select(chosen, own_texts(student, rows, chosen, step, run.seed, options.sampling_temperature))

    def measure(sides: Sequence[Side]) -> Mapping[str, float]:
        return on.figures(writer(sides[0].student), its.model, run.seed)

    joint = Joint(
        fingerprint("gkd", its.key),
        [its.side(run.options)],
        losses,
        rewrite if options.on_policy else None,
        measure,
    )
    return run.fit("student", told, options=options, joint=joint)

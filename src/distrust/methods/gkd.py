"""gkd: a student follows language models' probabilities of tokens, on given texts and on its own. Agarwal et al. 2024.

With `on_policy: 0` it is distillation word by word (Kim and Rush 2016, Sanh et al. 2019); with 1 and the forward divergence
on-policy KD; ImitKD (Lin et al. 2020) mixes both. The paper's mixture with fine-tuning on gold is its `gold_weight` here.
Several teachers, each token's trust in them, and evidence that is asked for once are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor

from distrust.files import fingerprint
from distrust.losses import alpha_beta, ranking, sampled_cross_entropy, topk_kl
from distrust.losses.blocks import Loss
from distrust.methods.heard import Rule, believed, beside, heard
from distrust.methods.language import Divergence, divergence, own_texts, probe, shared, texts, towards, tutors
from distrust.objective import Batch
from distrust.processes import mix
from distrust.recipe import Strict
from distrust.rows import Completions
from distrust.run import Run
from distrust.sides import Joint, Parts, Side
from distrust.students import Student
from distrust.students.causal import writer
from distrust.token_evidence import Kept


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
    exponents: list[float] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="alpha and beta of `alpha-beta`, at least 0 and not both 0; default: as in docs/losses.md",
    )
    on_policy: float = Field(0.5, ge=0, le=1, description="share of the steps on texts that the student writes itself")
    sampling_temperature: float = Field(1.0, gt=0, description="of those texts")
    temperature: float = Field(1.0, gt=0, description="softens both sides in the divergence")
    ranking: float = Field(0.0, ge=0, description="weight of a loss on the order of both sides' ten likeliest tokens")
    trust: Rule = Field(
        "alike",
        description="in several teachers, token by token: by how likely each finds the text's token (`label`, on given "
        "texts alone), or by how sure it is (`entropy`)",
    )
    teacher_evidence: Kept = Field(
        Kept(),
        description="`{top: 64}` or `{samples: 50}`: what is kept of the teachers, asked about each given text once, ever; "
        "default: nothing, they are asked in each step",
    )
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")

    @model_validator(mode="after")
    def _fits_together(self) -> Gkd:
        if self.share is not None and self.divergence not in shared():
            raise ValueError(f"`share` is of {', '.join(shared())}; the divergence {self.divergence} has none")
        if self.exponents and self.divergence != "alpha-beta":
            raise ValueError(f"`exponents` are of alpha-beta; the divergence {self.divergence} has none")
        if self.exponents and not (min(self.exponents) >= 0 and max(self.exponents) > 0):
            raise ValueError(f"`exponents` are {self.exponents}; both are at least 0, and not both 0")
        if self.on_policy and self.trust == "label":
            raise ValueError(
                "trust `label` goes by tokens of given texts, which a student's own are not; set `on_policy: 0`"
            )
        if self.on_policy and self.teacher_evidence:
            raise ValueError("`teacher_evidence` is of given texts, and a student's own are always new; set `on_policy: 0`")
        if self.teacher_evidence.samples and (self.divergence != "forward" or self.temperature != 1 or self.ranking):
            raise ValueError("`samples` are unbiased for the forward divergence at temperature 1 alone, without `ranking`")
        return self


def gkd(run: Run, options: Gkd) -> Student:
    """Train a student on teachers' probabilities. Raises RunError, before training, where they do not go together."""
    here = tutors(run)
    told = texts(run, here, options.gold_weight)
    sides = beside(here, options.teacher_evidence, run.evidence_folder, run.options)
    follow = partial(towards, loss=_loss(options), temperature=options.temperature, vocabulary=here[0].vocabulary)
    on = probe(told, here[0])

    def losses(said: Mapping[str, Any], batch: Batch) -> Mapping[str, Parts]:
        targets, trust = heard(options.trust, here, said, batch)
        return {"student": {"divergence": follow(said["student"], targets, batch, trust)}}

    def rewrite(sides: Sequence[Side], rows: Completions, chosen: Tensor, step: int, _: int) -> Completions:
        draw = torch.Generator().manual_seed(mix(run.seed, step, 3))
        if float(torch.rand((), generator=draw)) >= options.on_policy:
            return rows.select(chosen)
        student = writer(sides[0].student)
        return rows.select(chosen, own_texts(student, rows, chosen, step, run.seed, options.sampling_temperature))

    def measure(sides: Sequence[Side]) -> Mapping[str, float]:
        student = writer(sides[0].student)
        found = {one.teacher.name: on.figures(student, one.model, run.seed) for one in here}
        if len(here) == 1:
            return found[here[0].teacher.name]
        return {f"{name}.{figure}": value for name, own in found.items() for figure, value in own.items()}

    joint = Joint(
        fingerprint("gkd", *(one.key for one in here)),
        sides,
        losses,
        rewrite if options.on_policy else None,
        None if options.teacher_evidence else measure,  # which would ask them again in each epoch
    )
    believed(run, options.trust, here, sides, told)
    return run.fit("student", told, options=options, joint=joint)


def _loss(options: Gkd) -> Loss:
    """What is minimised from each target."""
    if options.teacher_evidence.samples:
        return sampled_cross_entropy
    if options.teacher_evidence.top and options.divergence == "forward" and not options.ranking:
        return topk_kl
    plain = divergence(options.divergence, options.share)
    if options.exponents:
        plain = partial(alpha_beta, alpha=options.exponents[0], beta=options.exponents[1])
    if not options.ranking:
        return plain

    def ranked(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
        return plain(logits, target, temperature) + options.ranking * ranking(logits, target)

    return ranked

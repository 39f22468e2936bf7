"""speculative-kd: texts that the student begins each token of and the teacher corrects. Xu et al. 2024 (arXiv 2410.11325).

Early on most tokens are the teacher's, and it is near distillation on the teacher's texts; later most are the student's, and
it is near on-policy distillation, without the texts on which a teacher has nothing to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor

from distrust.files import fingerprint
from distrust.losses.chunks import Projected
from distrust.methods.language import TUTOR, Divergence, probe, pull, text_seeds, texts, tutor
from distrust.objective import Batch
from distrust.processes import mix
from distrust.recipe import Strict
from distrust.rows import Completions
from distrust.run import Run
from distrust.sides import Joint, Parts, Side
from distrust.students import Student
from distrust.students.causal import writer
from distrust.students.interleaved import interleaved


class SpeculativeKd(Strict):
    """Options of speculative-kd."""

    top: int = Field(25, gt=0, description="a token of the student stands where it is among the teacher's likeliest so many")
    interleaved: float = Field(1.0, ge=0, le=1, description="share of the steps on such texts; the others on given ones")
    sampling_temperature: float = Field(1.0, gt=0, description="at which both write")
    divergence: Divergence = Field("forward", description="from the teacher; docs/losses.md has their formulas")
    temperature: float = Field(1.0, gt=0, description="softens both sides in the divergence")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")


def speculative_kd(run: Run, options: SpeculativeKd) -> Student:
    """Train a student on texts that it and its teacher write together. Raises RunError where the two do not go together."""
    its = tutor(run)
    told = texts(run, [its], options.gold_weight)
    follow, on = pull(options.divergence, None, options.temperature, its.vocabulary), probe(told, its)

    def losses(said: Mapping[str, Projected], batch: Batch) -> Mapping[str, Parts]:
        return {"student": {"divergence": follow(said["student"], said[TUTOR], batch)}}

    def rewrite(sides: Sequence[Side], rows: Completions, chosen: Tensor, step: int, total: int) -> Completions:
        draw = torch.Generator().manual_seed(mix(run.seed, step, 3))
        if float(torch.rand((), generator=draw)) >= options.interleaved:
            return rows.select(chosen)
        asked = rows.asked(chosen), rows.asked(chosen, 1)
        keys, student = text_seeds(run.seed, step, chosen), writer(sides[0].student)
        written, _ = interleaved(student, its.model, asked, keys, options.top, options.sampling_temperature)
        return rows.select(chosen, written)

    def measure(sides: Sequence[Side]) -> Mapping[str, float]:
        student = writer(sides[0].student)
        read = student.encode(on.items), its.model.encode(on.items)
        every = torch.arange(len(on.items))
        asked = read[0].batch(every), read[1].batch(every)
        _, stood = interleaved(student, its.model, asked, text_seeds(run.seed, 0, every), options.top)
        return {"stood": stood, **on.figures(student, its.model, run.seed)}  # how many of its tokens stand: 1 in the end

    joint = Joint(fingerprint("speculative-kd", its.key), [its.side(run.options)], losses, rewrite, measure)
    return run.fit("student", told, options=options, joint=joint)

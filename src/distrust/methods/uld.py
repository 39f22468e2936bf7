"""uld: a teacher with another tokenizer: cross-entropy with the text, and how sure to be of each token, whatever it is.

Universal logit distillation, Boizard et al. 2025 (arXiv 2402.12030). Both sides read the same text by their own tokenizer;
the n-th token of one stands beside the n-th of the other, up to the end of the shorter one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from distrust.files import fingerprint
from distrust.losses import Sampled, sampled_cross_entropy, sorted_distance
from distrust.losses.chunks import Projected
from distrust.methods.language import TUTOR, texts, towards, tutor
from distrust.objective import Batch
from distrust.recipe import Strict
from distrust.run import Run
from distrust.sides import Joint, Parts
from distrust.students import Student
from distrust.students.causal import writer


class Uld(Strict):
    """Options of uld."""

    strength: float = Field(1.5, ge=0, description="of the distance between sorted probabilities (the paper: 1.5)")
    temperature: float = Field(1.0, gt=0, description="softens both sides in that distance")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")


def uld(run: Run, options: Uld) -> Student:
    """Train a student on texts and on a teacher that reads them in other tokens. Raises RunError as `language.tutor`."""
    its = tutor(run, same_tokens=False)
    told = texts(run, [its], options.gold_weight)
    known = len(writer(run.new_student(run.seed)).reader.tokenizer)
    label = partial(towards, loss=sampled_cross_entropy, temperature=1.0, vocabulary=known)
    alike = partial(towards, loss=sorted_distance, temperature=options.temperature, vocabulary=None)

    def losses(said: Mapping[str, Projected], batch: Batch) -> Mapping[str, Parts]:
        student, teacher = said["student"], said[TUTOR]
        tokens = batch["labels"].clamp(min=0).unsqueeze(-1)  # (n, T, 1)
        wanted = Sampled(tokens, torch.ones_like(tokens, dtype=torch.float32), known)
        beside = _fitted(teacher.hidden, tokens.shape[1])
        both = torch.arange(tokens.shape[1], device=tokens.device) < batch["lengths"].amin(-1, keepdim=True)  # (n, T)
        distance = alike(
            _without_padding(student, student.hidden, known),
            _without_padding(teacher, beside, its.vocabulary),
            batch | {"weight": batch["weight"] * both},
        )
        return {"student": {"cross_entropy": label(student, wanted, batch), "distance": options.strength * distance}}

    joint = Joint(fingerprint("uld", its.key), [its.side(run.options)], losses)
    return run.fit("student", told, options=options, joint=joint)


def _fitted(hidden: Tensor, width: int) -> Tensor:
    """Hidden states (n, T own, d) at another width (n, T, d): cut, or filled up with zeros that do not count."""
    return torch.nn.functional.pad(hidden[:, :width], (0, 0, 0, max(width - hidden.shape[1], 0)))


def _without_padding(side: Projected, hidden: Tensor, vocabulary: int) -> Projected:
    """Other hidden states (n, T, d) before the rows of a side's head that are tokens."""
    bias = None if side.bias is None else side.bias[:vocabulary]
    return Projected(hidden, side.weight[:vocabulary], bias, side.softcap)

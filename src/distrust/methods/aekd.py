"""aekd: teachers weighed step by step so that no teacher's loss rises. Du et al., NeurIPS 2020 (Agree to Disagree).

The combination of the teachers' gradients at the student's logits that has the least norm, each teacher's share at most C.
Of their two variants, this is the one of logits.
"""

from __future__ import annotations

from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from distrust import combine, losses
from distrust.methods.several import Several, also, lesson, objective
from distrust.objective import Batch, Objective, Term
from distrust.run import Run
from distrust.students import Student


class Aekd(Several):
    """Options of aekd."""

    cap: float = Field(
        0.6, gt=0, le=1, description="C: at most so much of one teacher (ν = 1 / (C · M) of their one-class SVM)"
    )


def aekd(run: Run, options: Aekd) -> Student:
    """γ · CE(label) + α · Σ_k a_k T² · KL(teacher k ‖ student), with the a of each step: least ‖Σ a_k g_k‖², 0 ≤ a_k ≤ C."""
    here = lesson(run, options)
    alike = combine.uniform(here.stacked.answered)
    also(run, here, alike, options.temperature)
    told = here.told(here.mean(alike, options.temperature), logits=here.logits.transpose(0, 1).contiguous())
    terms = dict(objective(told, options).terms)
    if "target" in terms:
        terms["target"] = Term(partial(_agreed, options.temperature, options.cap), options.alpha)
    return run.fit("student", told, Objective(terms), options)


def _agreed(temperature: float, cap: float, logits: Tensor, batch: Batch) -> Tensor:
    """The divergence to all teachers by the shares of this batch: logits (n, C) to (n,)."""
    teachers = batch["logits"].transpose(0, 1)  # (M, n, C)
    speaks = (teachers > -torch.inf).any(-1)  # (M, n)
    said = (teachers / temperature).masked_fill(~speaks.unsqueeze(-1), 0.0).softmax(-1)
    away = (logits.detach() / temperature).softmax(-1) - said  # g_k, but for a factor that all share
    counted = batch.get("weight", torch.ones_like(logits[:, 0])) * speaks  # (M, n)
    shares = losses.least_combination((away * counted.unsqueeze(-1)).flatten(1), cap)
    return losses.weighted_kl(logits, teachers, shares.unsqueeze(-1) * speaks, temperature)

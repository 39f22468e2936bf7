"""taid: a target that sets out from the student and arrives at the teacher. Shing et al. 2025 (arXiv 2501.16937).

What okd gets by training the teacher, this gets by interpolating logits: no gradient goes through the teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from distrust.files import fingerprint
from distrust.losses import interpolated_kl
from distrust.losses.chunks import Projected
from distrust.methods.language import TUTOR, probe, texts, towards, tutor
from distrust.objective import Batch
from distrust.processes import mean
from distrust.recipe import Strict
from distrust.run import Run
from distrust.sides import Joint, Parts, Side
from distrust.students import Student
from distrust.students.causal import writer

SMALLEST = 1e-15  # of a loss that is divided by, as in the authors' code


class Taid(Strict):
    """Options of taid. Defaults are the authors' code's."""

    start: float = Field(0.4, ge=0, lt=1, description="the teacher's share of the target at first (the paper: .2 to .4)")
    end: float = Field(1.0, gt=0, le=1, description="and at last")
    speed: float = Field(5e-4, ge=0, le=1, description="how far progress moves the share beyond its even rise; 0: never")
    inertia: float = Field(0.99, ge=0, lt=1, description="of the mean of relative changes of the loss")
    temperature: float = Field(1.0, gt=0, description="softens both sides in the divergence")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")

    @model_validator(mode="after")
    def _rises(self) -> Taid:
        if self.end < self.start:
            raise ValueError(f"`end` is {self.end} and `start` {self.start}; the teacher's share rises")
        return self


def taid(run: Run, options: Taid) -> Student:
    """Forward KL towards softmax((1 - t) · student + t · teacher), t rising by the steps done and by progress."""
    its = tutor(run)
    told = texts(run, [its], options.gold_weight)
    schedule, on = Schedule(options), probe(told, its)
    follow = partial(towards, temperature=options.temperature, vocabulary=its.vocabulary)

    def losses(said: Mapping[str, Projected], batch: Batch) -> Mapping[str, Parts]:
        loss = partial(interpolated_kl, share=schedule.now(batch["progress"]))
        value = follow(said["student"], said[TUTOR], batch, loss=loss)
        schedule.loss += mean(value.detach())  # each process adds its part: a checkpoint holds the same sum of each
        return {"student": {"divergence": value}}

    def measure(sides: Sequence[Side]) -> Mapping[str, float]:
        return {"share": float(schedule.share), **on.figures(writer(sides[0].student), its.model, run.seed)}

    key = fingerprint("taid", its.key)
    joint = Joint(key, [its.side(run.options)], losses, measure=measure, memory=nn.ModuleDict({"schedule": schedule}))
    return run.fit("student", told, options=options, joint=joint)


class Schedule(nn.Module):
    """The teacher's share of the target, moved before each step by the loss of the one before. The paper's algorithm 1.

        δ = (J_before - J) / J_before,  m ← β · m + (1 - β) · δ,  t ← min(end, max(even rise, t + α · sigmoid(m) · (1 - t)))

    All that it knows are buffers, so that it is saved and resumed with the student; nothing in it waits for a device.
    """

    share: Tensor  # () t
    momentum: Tensor  # () m
    before: Tensor  # () J of the step before the latest, +inf where there was none
    loss: Tensor  # () J of the latest step, as far as its micro-batches are done
    at: Tensor  # () share of all steps that were done before the latest one, -1 before the first

    def __init__(self, options: Taid) -> None:
        super().__init__()
        self.options = options
        for name, value in {"share": options.start, "momentum": 0, "before": torch.inf, "loss": 0, "at": -1}.items():
            self.register_buffer(name, torch.tensor(float(value)))

    def now(self, progress: Tensor) -> Tensor:
        """The share () in the step before which `progress` () of all steps were done."""
        said = self.options
        new = progress != self.at  # a step's first micro-batch
        known = new & (self.at >= 0)
        moved = known & ~self.before.isinf()
        change = (self.before - self.loss) / (self.before + SMALLEST)
        momentum = said.inertia * self.momentum + (1 - said.inertia) * change
        even = said.start + (said.end - said.start) * self.at
        risen = self.share + said.speed * momentum.sigmoid() * (1 - self.share)
        self.momentum = torch.where(moved, momentum, self.momentum)
        self.share = torch.where(moved, torch.maximum(even, risen).clamp(max=said.end), self.share)
        self.before = torch.where(known, self.loss, self.before)
        self.loss = torch.where(new, 0.0, self.loss)
        self.at = torch.where(new, progress, self.at)
        return self.share

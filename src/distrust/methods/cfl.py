"""cfl: specialists' features brought into one space with the student's. Common feature learning, Luo et al. 2019 (IJCAI).

Beside the distillation from all logits side by side. The paper was not read: what is reconstructed stands in docs/muka.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from zlib import crc32

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from distrust.distillation import default_objective
from distrust.errors import RunError
from distrust.losses.matching import discrepancy
from distrust.methods.concatenated import Concatenated, side_by_side
from distrust.methods.hinted import FEATURE, student_feature
from distrust.methods.specialists import Specialists, gather, told
from distrust.modules import seeded
from distrust.objective import Batch, Objective, Term
from distrust.processes import mix
from distrust.run import Run
from distrust.students import Student


class Cfl(Concatenated):
    """Options of cfl."""

    feature: str = Field(
        "auto",
        description="where the student's feature is taken: a module's path, or what goes into its last layer (`auto`)",
    )
    width: int = Field(128, gt=0, description="of the common space")
    alpha: float = Field(1.0, ge=0, description="weight of the common features: discrepancy and reconstruction")


def cfl(run: Run, options: Cfl) -> Student:
    """concatenated, plus α · Σ_i ( MMD²(f_S, f_i) + ‖decoded f_i - F_i‖² ) with f in one space for all."""
    here = gather(run)
    features = teacher_features(here, "cfl")
    path, size = student_feature(run, options.feature)
    training = told(run, here, side_by_side(here, options.temperature), options.gold_weight)
    training = replace(training, extra={f"feature.{place}": value for place, value in enumerate(features.values())})
    sizes = {name: value.shape[1] for name, value in features.items()}
    common = Common(int(torch.Size(size).numel()), sizes, options.width, run.seed)
    terms = default_objective(training, options.temperature).terms
    terms = {**terms, "common": Term(partial(_apart, common), options.alpha)}
    objective = Objective(terms, nn.ModuleDict({"common": common}), {FEATURE: path})
    return run.fit("student", training, objective, options)


def teacher_features(here: Specialists, method: str) -> dict[str, Tensor]:
    """What each teacher keeps as its feature, flat (N, d_i), by its name. Raises RunError for one that keeps none."""
    features = {}
    for one in here.members:
        if not one.evidence.features:
            raise RunError(f"{one.teacher.name} keeps no features, which {method} learns from; set `feature: auto` of it.")
        features[one.teacher.name] = next(iter(one.evidence.features.values()))[:].float().flatten(1)
    return features


class Common(nn.Module):
    """From a student's and M teachers' features to one space, and back to the teachers'.

    Args:
        student: its size, flat; teachers: theirs, by name.
        width: of the common space.
        seed: of the initial weights; a teacher's depend on its name and not on its place.
    """

    def __init__(self, student: int, teachers: Mapping[str, int], width: int, seed: int) -> None:
        super().__init__()
        with seeded(seed):
            self.student = nn.Linear(student, width)
            self.shared = nn.Sequential(nn.ReLU(), nn.Linear(width, width))
        self.teachers, self.back = nn.ModuleList(), nn.ModuleList()
        for name, size in teachers.items():
            with seeded(mix(seed, crc32(name.encode()))):
                self.teachers.append(nn.Linear(size, width))
                self.back.append(nn.Linear(width, size))

    def forward(self, own: Tensor, others: list[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The student's feature (n, ...) and the teachers' (n, d_i) to common ones (n, width), and what those decode to."""
        mine = self.shared(self.student(own.flatten(1)))
        theirs = [self.shared(adapt(one)) for adapt, one in zip(self.teachers, others, strict=True)]
        return mine, theirs, [back(one) for back, one in zip(self.back, theirs, strict=True)]


def _apart(common: Common, logits: Tensor, batch: Batch) -> Tensor:
    """Discrepancy of the batch, the same for each item, plus each item's reconstruction error: (n,)."""
    others = [batch[f"feature.{place}"].to(logits.dtype) for place in range(len(common.teachers))]
    mine, theirs, decoded = common(batch[f"taps.{FEATURE}"], others)
    total = torch.zeros(len(logits), dtype=logits.dtype, device=logits.device)
    for one, back, given in zip(theirs, decoded, others, strict=True):
        size = given.detach().square().mean().clamp(min=1e-12)  # features of teachers differ in size
        total = total + discrepancy(normalize(mine, dim=-1), normalize(one, dim=-1)) + (back - given).square().mean(1) / size
    return total

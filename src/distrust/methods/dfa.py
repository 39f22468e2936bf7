"""dfa: specialists' features amalgamated into one that the student's feature follows. Shen et al. 2019 (AAAI).

Beside the distillation from all logits side by side. The paper was not read: what is recalled of it stands in docs/muka.md.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from zlib import crc32

import torch
from pydantic import Field
from torch import Tensor, nn

from distrust.distillation import default_objective
from distrust.methods.cfl import teacher_features
from distrust.methods.concatenated import Concatenated, side_by_side
from distrust.methods.hinted import FEATURE, student_feature
from distrust.methods.specialists import gather, told
from distrust.modules import seeded
from distrust.objective import Batch, Objective, Term
from distrust.processes import mix
from distrust.run import Run
from distrust.students import Student


class Dfa(Concatenated):
    """Options of dfa."""

    feature: str = Field(
        "auto",
        description="where the student's feature is taken: a module's path, or what goes into its last layer (`auto`)",
    )
    alpha: float = Field(1.0, ge=0, description="weight of the amalgamated features: imitation and reconstruction")


def dfa(run: Run, options: Dfa) -> Student:
    """concatenated, plus α · ( ‖f_S - code‖² + ‖decoded code - F‖² ) with F all teachers' features side by side."""
    here = gather(run)
    features = teacher_features(here, "dfa")
    path, size = student_feature(run, options.feature)
    training = told(run, here, side_by_side(here, options.temperature), options.gold_weight)
    training = replace(training, extra={f"feature.{place}": value for place, value in enumerate(features.values())})
    sizes = {name: value.shape[1] for name, value in features.items()}
    amalgam = Amalgam(int(torch.Size(size).numel()), sizes, run.seed)
    terms = default_objective(training, options.temperature).terms
    terms = {**terms, "amalgam": Term(partial(_apart, amalgam), options.alpha)}
    return run.fit("student", training, Objective(terms, nn.ModuleDict({"amalgam": amalgam}), {FEATURE: path}), options)


class Amalgam(nn.Module):
    """An auto-encoder of teachers' features side by side; its code is as wide as the student's feature.

    Args:
        code: its width; sizes: the teachers', by name.
        seed: of the initial weights; a teacher's depend on its name and not on its place.
    """

    def __init__(self, code: int, sizes: dict[str, int], seed: int) -> None:
        super().__init__()
        self.into, self.back = nn.ModuleList(), nn.ModuleList()
        for name, size in sizes.items():
            with seeded(mix(seed, crc32(name.encode()))):
                self.into.append(nn.Linear(size, code))
                self.back.append(nn.Linear(code, size))

    def forward(self, features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """M features (n, d_i) to their code (n, code), and what it decodes to."""
        parts = [part(one) for part, one in zip(self.into, features, strict=True)]
        code = torch.stack(parts).sum(0) / len(parts)
        return code, [back(code) for back in self.back]


def _apart(amalgam: Amalgam, logits: Tensor, batch: Batch) -> Tensor:
    """How far the student's feature is from the code, and what was decoded from the teachers': (n,).

    The code is a target: it is learned by decoding alone, or both would agree on nothing at all.
    """
    given = [batch[f"feature.{place}"].to(logits.dtype) for place in range(len(amalgam.into))]
    code, decoded = amalgam(given)
    goal = code.detach()
    total: Tensor = (batch[f"taps.{FEATURE}"].flatten(1) - goal).square().mean(1) / goal.square().mean().clamp(min=1e-12)
    for back, one in zip(decoded, given, strict=True):
        total = total + (back - one).square().mean(1) / one.square().mean().clamp(min=1e-12)  # features differ in size
    return total

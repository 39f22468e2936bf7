"""mmkd: teachers weighed by a small network that learns which weights help on items the student gets wrong.

After Zhang, Chen and Wang 2023 (arXiv 2306.06634), reconstructed and simplified: the step that the network looks ahead is
taken at the student's logits, not in its weights, and features are not weighed.
"""

from __future__ import annotations

from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from distrust import combine, losses
from distrust.methods.several import Several, also, lesson, objective
from distrust.modules import seeded
from distrust.objective import Batch, Objective, Term
from distrust.run import Run
from distrust.students import Student


class Mmkd(Several):
    """Options of mmkd."""

    hidden: int = Field(32, gt=0, description="width of the network that weighs the teachers")
    ahead: float = Field(1.0, gt=0, description="length of the step at the logits after which its weights are judged")


def mmkd(run: Run, options: Mmkd) -> Student:
    """γ · CE(label) + α · Σ_k w_k T² · KL(teacher k ‖ student), w of a network trained beside it.

    The network's own loss is the label's cross-entropy of what the student would say after a step towards the teachers so
    weighed, on items that it gets wrong now. No gradient of it reaches the student, and none of the student's the network.
    """
    here = lesson(run, options)
    alike = combine.uniform(here.stacked.answered)
    also(run, here, alike, options.temperature)
    teachers = here.logits.transpose(0, 1).contiguous()
    told = here.told(here.mean(alike, options.temperature), logits=teachers, label=here.labels)
    terms = dict(objective(told, options).terms)
    if "target" not in terms:
        return run.fit("student", told, Objective(terms), options)
    with seeded(run.seed):
        meta = Meta(len(here.evidence), len(run.space), options.hidden)
    terms["target"] = Term(partial(_matched, meta, options.temperature), options.alpha)
    terms["meta"] = Term(partial(_looked_ahead, meta, options.temperature, options.ahead))
    return run.fit("student", told, Objective(terms, nn.ModuleDict({"meta": meta})), options)


class Meta(nn.Module):
    """Weights of teachers from what they and the student say, starting from all alike.

    One network for all, and for each teacher how much its saying each class adds: the order of teachers changes nothing.
    """

    def __init__(self, teachers: int, classes: int, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(last.weight)
        self.shared = nn.Sequential(nn.Linear(2 * classes, hidden), nn.ReLU(), last)
        self.own = nn.Parameter(torch.zeros(teachers, 1, classes))

    def forward(self, said: Tensor, student: Tensor, speaks: Tensor) -> Tensor:
        """Probabilities (M, n, C) and (n, C), and who speaks (M, n) bool, to weights (M, n); zeros where nobody does."""
        both = torch.cat([said, student.expand_as(said)], -1)
        score: Tensor = self.shared(both).squeeze(-1) + (self.own * said).sum(-1)
        return score.masked_fill(~speaks, torch.finfo(score.dtype).min).softmax(0) * speaks


def _matched(meta: Meta, temperature: float, logits: Tensor, batch: Batch) -> Tensor:
    """The divergence to the teachers as they are weighed now: logits (n, C) to (n,)."""
    weights, _ = _weighed(meta, temperature, logits, batch)
    return losses.weighted_kl(logits, batch["logits"].transpose(0, 1), weights.detach(), temperature)


def _looked_ahead(meta: Meta, temperature: float, ahead: float, logits: Tensor, batch: Batch) -> Tensor:
    """The label's cross-entropy after a step, of items that the student gets wrong: logits (n, C) to (n,)."""
    weights, away = _weighed(meta, temperature, logits, batch)
    after = logits.detach() + ahead * temperature * (weights.unsqueeze(-1) * away).sum(0)
    wrong = logits.argmax(-1) != batch["label"].argmax(-1)
    return losses.cross_entropy(after, batch["label"]) * wrong


def _weighed(meta: Meta, temperature: float, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Weights (M, n), and how far each softened teacher is from the student (M, n, C)."""
    teachers = batch["logits"].transpose(0, 1)  # (M, n, C)
    speaks = (teachers > -torch.inf).any(-1)
    heard = teachers.masked_fill(~speaks.unsqueeze(-1), 0.0)
    now = logits.detach()
    weights = meta(heard.softmax(-1) * speaks.unsqueeze(-1), now.softmax(-1), speaks)
    return weights, (heard / temperature).softmax(-1) - (now / temperature).softmax(-1)

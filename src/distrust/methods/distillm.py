"""distillm: skew divergences, and the student's own texts as it comes to need them, each used more than once.

Ko et al. 2024 (DistiLLM, arXiv 2402.03898). How likely a step is to learn from the student's texts rises whenever its loss
on held-out texts has risen; those texts are kept in a replay buffer, so that few steps have to wait for new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from distrust.errors import RunError
from distrust.files import fingerprint
from distrust.labelled import Labelled
from distrust.losses.chunks import Projected
from distrust.methods.language import TUTOR, own_texts, probe, pull, texts, tutor
from distrust.objective import Batch
from distrust.processes import mix
from distrust.recipe import Strict
from distrust.rows import Completions
from distrust.run import Run
from distrust.sides import Joint, Parts, Side
from distrust.students import Student
from distrust.students.causal import writer
from distrust.students.likelihood import likelihood

HELD = 64  # texts, at most a tenth of all, on which the student is judged where nothing else is held out


class Distillm(Strict):
    """Options of distillm. Defaults are the authors' scripts'."""

    divergence: Literal["skew-forward", "skew-reverse"] = Field("skew-reverse", description="docs/losses.md has formulas")
    skew: float = Field(0.1, ge=0, lt=1, description="how much of the first distribution is mixed into the second")
    capacity: int = Field(1000, gt=0, description="texts that are kept for replay")
    start: float = Field(0.0, ge=0, le=1, description="share of the steps on the student's own texts, at first")
    rise: float = Field(0.1, ge=0, le=1, description="and how much it rises when the loss on held-out texts has risen")
    tolerance: float = Field(0.1, ge=0, description="by how many nats a token that loss has to have risen")
    sampling_temperature: float = Field(1.0, gt=0, description="of the student's texts")
    temperature: float = Field(1.0, gt=0, description="softens both sides in the divergence")
    gold_weight: float = Field(1.0, ge=0, description="how many pool items a gold item counts as; 0: do not train on gold")


def distillm(run: Run, options: Distillm) -> Student:
    """Train a student on given texts and, as it needs them, on its own. Raises RunError where it and its teacher differ."""
    its = tutor(run)
    told, held = _held_out(run, texts(run, [its], options.gold_weight))
    follow, on = pull(options.divergence, options.skew, options.temperature, its.vocabulary), probe(told, its)
    memory = Replay(options, its.model.reader.max_completion_length)

    def losses(said: Mapping[str, Projected], batch: Batch) -> Mapping[str, Parts]:
        return {"student": {"divergence": follow(said["student"], said[TUTOR], batch)}}

    def rewrite(sides: Sequence[Side], rows: Completions, chosen: Tensor, step: int, total: int) -> Completions:
        student = writer(sides[0].student)
        if bool(memory.before.isnan()):
            memory.before.fill_(held(student))
        draw = torch.Generator().manual_seed(mix(run.seed, step, 3))
        turn, share = float(torch.rand((), generator=draw)), float(memory.share)
        if turn >= share:
            return rows.select(chosen)
        if turn >= share * (1 - step / total) and memory.full:
            return rows.select(*memory.drawn(len(chosen), draw))
        written = own_texts(student, rows, chosen, step, run.seed, options.sampling_temperature)
        memory.keep(chosen, written)
        return rows.select(chosen, written)

    def measure(sides: Sequence[Side]) -> Mapping[str, float]:
        student = writer(sides[0].student)
        loss = held(student)
        memory.judge(loss)
        return {"held_out": loss, "own_share": float(memory.share), **on.figures(student, its.model, run.seed)}

    joint = Joint(
        fingerprint("distillm", its.key, run.validation_loss is None),
        [its.side(run.options)],
        losses,
        rewrite,
        measure,
        nn.ModuleDict({"replay": memory}),
    )
    return run.fit("student", told, options=options, joint=joint)


class Replay(nn.Module):
    """The student's latest texts, and how often it learns from its own: buffers, saved and resumed with the student.

    Args:
        options: the method's.
        longest: tokens of a text.
    """

    row: Tensor  # (capacity,) long, of the training set
    tokens: Tensor  # (capacity, longest) int32
    lengths: Tensor  # (capacity,) long
    count: Tensor  # () long, texts that were ever kept
    share: Tensor  # () of the steps on its own texts
    before: Tensor  # () the held-out loss when the share last rose, or at first

    def __init__(self, options: Distillm, longest: int) -> None:
        super().__init__()
        self.options, size = options, options.capacity
        self.register_buffer("row", torch.zeros(size, dtype=torch.long))
        self.register_buffer("tokens", torch.zeros(size, longest, dtype=torch.int32))
        self.register_buffer("lengths", torch.zeros(size, dtype=torch.long))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("share", torch.tensor(options.start))
        self.register_buffer("before", torch.tensor(torch.nan))

    @property
    def full(self) -> bool:
        return int(self.count) >= len(self.row)

    def keep(self, rows: Tensor, written: Sequence[Sequence[int]]) -> None:
        """Texts of rows (n,) in place of the oldest."""
        for row, text in zip(rows.tolist(), written, strict=True):
            place = int(self.count) % len(self.row)
            self.row[place], self.lengths[place] = row, len(text)
            self.tokens[place, : len(text)] = torch.tensor(text, dtype=torch.int32)
            self.count += 1

    def drawn(self, number: int, draw: torch.Generator) -> tuple[Tensor, list[list[int]]]:
        """Texts drawn without putting back: rows (n,) of the training set, and token ids."""
        chosen = torch.randperm(len(self.row), generator=draw)[:number].to(self.row.device)
        kept = zip(self.tokens[chosen].tolist(), self.lengths[chosen].tolist(), strict=True)
        return self.row[chosen].cpu(), [ids[:length] for ids, length in kept]

    def judge(self, loss: float) -> None:
        """The adaptive schedule: a share of own texts that rises with the held-out loss. The paper's algorithm 1."""
        if loss >= float(self.before) + self.options.tolerance:
            self.share.add_(self.options.rise).clamp_(max=1)
            self.before.fill_(loss)


def _held_out(run: Run, told: Labelled) -> tuple[Labelled, Callable[[Student], float]]:
    """What is learned from, and how a student is judged: on the run's validation items, else on some that are left out."""
    if run.validation_loss is not None:
        return told, run.validation_loss
    told = told.told()
    if len(told) < 2:
        raise RunError(
            f"distillm leaves texts out of training to judge its student on, and of {len(told)} it can leave out none; "
            "give more texts, or data.validation."
        )
    order = torch.randperm(len(told), generator=torch.Generator().manual_seed(run.seed))
    count = min(HELD, max(1, len(told) // 10))
    apart, rest = told.select(order[:count].sort().values), told.select(order[count:].sort().values)
    assert apart.texts is not None, "a language model's student learns from texts"
    said = [answers[int(target.argmax())] for answers, target in zip(apart.texts.answers, apart.targets, strict=True)]
    run.note(f"No validation items are given, so {count} texts are left out of training, to judge the student on.")
    return rest, lambda student: likelihood(writer(student), apart.items, said).loss

"""Who is in a loop: sides that learn or only speak, and what several of them minimise together, token by token.

Knows students, what each minimises and how often it moves. Knows nothing of steps, epochs or files.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from distrust.errors import RunError
from distrust.losses.chunks import Projected
from distrust.objective import Batch, Objective
from distrust.optim import Optimiser
from distrust.recipe import Train
from distrust.rows import Completions
from distrust.students import Student

Parts = Mapping[str, Tensor]  # of a side's loss, each (), which is their sum
Losses = tuple[list[Tensor], dict[str, Tensor]]  # what to minimise, each (), and the parts it is made of, detached
AWRY = ".awry"  # ends the name of a part that counts in which steps a side said what is not finite


@dataclass(eq=False)
class Side:
    """Who learns in a step: a student, what it minimises, and how often it moves.

    Where several sides learn in one loop (mutual learning, OKD), each finds the others' logits in its batch, detached, as
    `NAME.logits`; all look at the same step before any of them moves, so their order changes nothing.
    """

    student: Student
    objective: Objective
    options: Train
    name: str = "student"
    every: int = 1  # moves on every n-th step, and costs a forward alone on the others; 0: never
    steady: bool = False  # answers in eval mode, and only what is trained of it is kept: a teacher with an adapter
    who: str = ""  # as sentences name it, where that is not its name
    optimiser: Optimiser = field(init=False)
    salt: int = field(init=False)  # tells its random numbers from another side's
    tapped: Mapping[str, Tensor] = field(init=False)  # what its terms read of the student, as of the latest forward

    def __post_init__(self) -> None:
        self.salt = zlib.crc32(self.name.encode())

    def begin(self) -> None:
        """Make the optimiser: of the parameters as they lie now, on their device and in shards if they are."""
        if not self.every:
            return
        rate = self.options.learning_rate or self.student.default_learning_rate
        modules = nn.ModuleList([self.student.module, self.objective.modules])
        self.optimiser = Optimiser(modules, rate, self.options.weight_decay, self.options.max_grad_norm)

    def moves(self, step: int) -> bool:
        """Whether it learns in a step."""
        return self.every > 0 and step % self.every == 0


@dataclass(frozen=True, eq=False)
class Joint:
    """What sides that write minimise together, from hidden states and heads; their own objectives are then not asked.

    Args:
        key: of all that is here, with `beside` as they begin.
        beside: who is in the loop beside the student, and forgotten after it.
        losses: from each side's hidden states and head, by name, with items (n, T), and the batch (`labels` (n, T), `weight`
            (n, T), `count` ()) to what each side minimises, by name. Whose gradient goes where is its business.
        rewrite: before a step, other completions for its rows: the training set, rows (n,), the step and how many there will
            be, to a set of n rows.
        measure: what an epoch's record says besides, from the sides as they then are.
        memory: what these functions remember from step to step: buffers, saved and resumed with the student.
    """

    key: str
    beside: Sequence[Side]
    losses: Callable[[Mapping[str, Projected], Batch], Mapping[str, Parts]]
    rewrite: Callable[[Sequence[Side], Completions, Tensor, int, int], Completions] | None = None
    measure: Callable[[Sequence[Side]], Mapping[str, float]] | None = None
    memory: nn.ModuleDict = field(default_factory=nn.ModuleDict)


def apart(sides: Sequence[Side], moving: Sequence[Side], said: Mapping[str, Tensor], batch: Batch) -> Losses:
    """Each side's own objective, of its logits; it sees the others' detached."""
    if len(sides) > 1:
        batch = batch | {f"{name}.logits": value.detach() for name, value in said.items()}
    losses: list[Tensor] = []
    parts: dict[str, Tensor] = {}
    for side in moving:
        loss, own = side.objective(said[side.name], batch | _features(side))
        losses.append(loss)
        parts |= {prefix(sides, side) + name: value for name, value in own.items()}
    return losses, parts


def together(sides: Sequence[Side], found: Mapping[str, Parts]) -> Losses:
    """One sum of what all sides minimise: gradients that were formed together are sent back together."""
    parts = {prefix(sides, side) + name: value for side in sides for name, value in found.get(side.name, {}).items()}
    return [torch.stack(list(parts.values())).sum()], {name: value.detach() for name, value in parts.items()}


def awry(sides: Sequence[Side], said: Mapping[str, Any]) -> dict[str, Tensor]:
    """Of each side beside the student, 1 where its hidden states are not all finite and the student's still are, else 0."""
    alive = {name: one.hidden.isfinite().all() for name, one in said.items() if isinstance(one, Projected)}
    first = alive[sides[0].name]
    return {side.name + AWRY: (first & ~alive[side.name]).float() for side in sides[1:] if side.name in alive}


def prefix(sides: Sequence[Side], side: Side) -> str:
    """How a side's figures begin: the first one's are plain."""
    return "" if side is sides[0] else f"{side.name}."


def _features(side: Side) -> dict[str, Tensor]:
    """What a side's terms read of its student besides logits. Raises RunError for a module that the forward passed by."""
    for name, path in side.objective.taps.items():
        if name not in side.tapped:
            raise RunError(f"The student does not use its module {path!r} to answer; take features from another.")
    return {f"taps.{name}": value.float() for name, value in side.tapped.items()}

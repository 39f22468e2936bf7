"""A small loop: sides that learn, from rows that tell, until the epochs are over or validation stops gaining.

Knows steps, optimisers, schedules, checkpoints and bit-exact resumption. Knows nothing of teachers, trust or methods:
what is learned from a row is the objective's business.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust import checkpoint, taps
from distrust.data import Items
from distrust.errors import RunError
from distrust.files import read_json
from distrust.labelled import Labelled
from distrust.objective import Objective
from distrust.optim import Optimiser
from distrust.processes import Processes, mix, seed, wait
from distrust.recipe import Train
from distrust.rows import Completions, Rows
from distrust.sharding import bare
from distrust.students import Encoded, Student

Progress = Callable[[str, int, int, Mapping[str, float]], None]  # task, done, total, figures


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
    every: int = 1  # moves on every n-th step, and costs a forward alone on the others
    optimiser: Optimiser = field(init=False)
    salt: int = field(init=False)  # tells its random numbers from another side's
    tapped: Mapping[str, Tensor] = field(init=False)  # what its terms read of the student, as of the latest forward

    def __post_init__(self) -> None:
        self.salt = zlib.crc32(self.name.encode())

    def begin(self) -> None:
        """Make the optimiser: of the parameters as they lie now, on their device and in shards if they are."""
        rate = self.options.learning_rate or self.student.default_learning_rate
        modules = nn.ModuleList([self.student.module, self.objective.modules])
        self.optimiser = Optimiser(modules, rate, self.options.weight_decay, self.options.max_grad_norm)


@dataclass(frozen=True)
class Fit:
    """One training: what, on what, how, and where its checkpoints live."""

    name: str
    labelled: Labelled
    options: Train
    seed: int
    folder: Path
    validate: Callable[[Student], float] | None = None  # lower is better
    progress: Progress | None = None
    encode: Callable[[Student, Items], Encoded] | None = None  # default: the student's own `encode`
    warn: Callable[[str], None] = lambda _: None  # told what a person should know of the items as they were read


def fit(sides: Sequence[Side], task: Fit) -> list[dict[str, Any]]:
    """Train the sides to the end of their task, from the last checkpoint if there is one; returns one row an epoch.

    The first side is the one that validation judges.

    The result depends on the student's initial weights, the training set, the options and the seed, on the device and
    the thread count, and on nothing else: not on where it was interrupted, nor on the global random state, which is
    left as it was.

    Raises:
        RunError: a training set that tells nothing, or a loss that is not finite.
    """
    assert len({side.name for side in sides}) == len(sides), "sides are told apart by their names"
    told = task.labelled.told()
    if not len(told):
        raise RunError(f"There is nothing to train {task.name} on: no item has a target or a gold label.")
    encode = task.encode or (lambda student, items: student.encode(items))
    rows: Rows | Completions
    if told.texts is None:
        rows = Rows([encode(side.student, told.items) for side in sides], told)
    else:
        rows = Completions([side.student for side in sides], told)
        for note in rows.notes:
            task.warn(note)
    with ExitStack() as around:
        around.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        processes = around.enter_context(Processes(sides, task.options))
        for side in sides:
            side.begin()
            side.tapped = around.enter_context(taps.tapped(bare(side.student.module), side.objective.taps))
        state = checkpoint.resume(task.folder, sides)
        while state.epoch < task.options.num_train_epochs and not state.stopped:
            _epoch(sides, rows, task, state, processes)
        checkpoint.keep_best(sides, state)
        wait()
    return state.history


def _epoch(
    sides: Sequence[Side], rows: Rows | Completions, task: Fit, state: checkpoint.State, processes: Processes
) -> None:
    """The rest of one epoch, from the step the state is at, and its end: a row, validation, the best weights."""
    options = task.options
    steps = _steps(len(rows), options, processes.count)
    total = steps * options.num_train_epochs
    for side in sides:
        side.student.module.train()
    for index, chosen in enumerate(_order(len(rows), task.seed, state.epoch, options, processes.count)):
        if index < state.step:
            continue
        step = state.epoch * steps + index
        state.add(_step(sides, rows, chosen, step, total, task.seed, processes))
        if state.step < steps:
            _save(sides, task, state, processes)
    figures = _close(sides, task, state, processes)
    _save(sides, task, state, processes)
    if task.progress and processes.rank == 0:
        done = total if state.stopped else state.epoch * steps
        task.progress(task.name, done, total, figures)


def _save(sides: Sequence[Side], task: Fit, state: checkpoint.State, processes: Processes) -> None:
    """A checkpoint, when the last one is old enough."""
    if processes.agreed(time.monotonic() - state.saved) > task.options.save_seconds:
        checkpoint.save(task.folder, sides, state)
        state.saved = time.monotonic()


def _step(
    sides: Sequence[Side], rows: Rows | Completions, chosen: Tensor, step: int, total: int, start: int, processes: Processes
) -> dict[str, Tensor]:
    """One move on rows (n,): split into micro-batches, each divided by the whole step's count."""
    moving = [side for side in sides if step % side.every == 0]
    parts: dict[str, Tensor] = {}
    batches = processes.share(chosen)
    count = processes.total(rows.count(chosen)) if len(batches) > 1 or processes.count > 1 else None
    for number, micro in enumerate(batches):
        drawn = (start, step, processes.rank, number)
        for name, value in _look(sides, moving, rows, micro, count, step / total, drawn, processes).items():
            parts[name] = parts[name] + value if name in parts else value
    for side in moving:
        side.optimiser.step(_rate(step, total, side.options))
    return parts


def _look(
    sides: Sequence[Side],
    moving: Sequence[Side],
    rows: Rows | Completions,
    micro: Tensor,
    count: Tensor | None,
    progress: float,
    drawn: tuple[int, ...],
    processes: Processes,
) -> dict[str, Tensor]:
    """Every side's logits on a micro-batch (n,), and the gradients of those that move; returns the parts of their losses."""
    inputs, batch = rows.take(micro if len(micro) else torch.zeros(1, dtype=torch.long))
    if not len(micro):  # a process with no row of its own computes all the same: few models can read an empty batch
        batch["weight"] = torch.zeros(1)
    batch["progress"] = torch.tensor(progress)
    batch = processes.place(batch)
    if count is not None:
        batch["count"] = count
    parts: dict[str, Tensor] = {}
    with processes.precision():
        logits = {}
        for side, own in zip(sides, inputs, strict=True):
            seed(*drawn, side.salt)  # dropout depends on the step and the side, on nothing before
            with nullcontext() if side in moving else torch.no_grad():
                logits[side.name] = side.student.logits(processes.place(own))
        if len(sides) > 1:
            batch |= {f"{name}.logits": value.detach() for name, value in logits.items()}
        losses = [side.objective(logits[side.name], batch | _features(side)) for side in moving]
    for side, (loss, terms) in zip(moving, losses, strict=True):
        processes.backward(loss)
        prefix = _prefix(sides, side)
        for name, value in terms.items():
            parts[prefix + name] = value
    return parts


def _features(side: Side) -> dict[str, Tensor]:
    """What a side's terms read of its student besides logits. Raises RunError for a module that the forward passed by."""
    for name, path in side.objective.taps.items():
        if name not in side.tapped:
            raise RunError(f"The student does not use its module {path!r} to answer; take features from another.")
    return {f"taps.{name}": value.float() for name, value in side.tapped.items()}


def _prefix(sides: Sequence[Side], side: Side) -> str:
    """How a side's figures begin: the first one's are plain."""
    return "" if side is sides[0] else f"{side.name}."


def _close(sides: Sequence[Side], task: Fit, state: checkpoint.State, processes: Processes) -> dict[str, float]:
    """End an epoch: its figures, validation, the best weights. Raises RunError where the loss is not finite."""
    means = state.means()
    figures: dict[str, float] = {}
    for side in sides:  # the loss is linear in its terms: no step has to add them up for the record
        start = _prefix(sides, side)
        own = {name: means[start + name] for name in side.objective.terms if start + name in means}
        figures |= {start + "loss": sum(side.objective.terms[name].weight * mean for name, mean in own.items())}
        figures |= {start + name: mean for name, mean in own.items()}
    wild = next((value for value in figures.values() if not math.isfinite(value)), None)
    if wild is not None:
        raise RunError(
            f"{task.name} has a loss of {wild} in epoch {state.epoch + 1}; lower train.learning_rate "
            "or look for extreme values in the inputs."
        )
    if task.validate is not None:
        figures["validation"] = processes.agreed(task.validate(sides[0].student))
        state.judge(figures["validation"], sides, task.options.early_stopping_patience)
    state.end_epoch({"fit": task.name, "epoch": state.epoch + 1, **figures})
    return figures


def _steps(items: int, options: Train, processes: int) -> int:
    return math.ceil(items / (options.per_device_train_batch_size * options.gradient_accumulation_steps * processes))


def _order(items: int, start: int, epoch: int, options: Train, processes: int) -> Iterator[Tensor]:
    """Rows of each step of an epoch: a permutation that seed and epoch decide, the last step possibly smaller."""
    generator = torch.Generator().manual_seed(mix(start, epoch, 1))
    order = torch.randperm(items, generator=generator)
    size = options.per_device_train_batch_size * options.gradient_accumulation_steps * processes
    return (order[at : at + size] for at in range(0, items, size))


def _rate(step: int, total: int, options: Train) -> float:
    """Factor on the learning rate at a step, as transformers' schedules of the same names."""
    warmup = math.ceil(options.warmup_ratio * total)
    if step < warmup:
        return step / max(warmup, 1)
    if options.lr_scheduler_type == "constant":
        return 1.0
    progress = (step - warmup) / max(total - warmup, 1)
    return 1 - progress if options.lr_scheduler_type == "linear" else 0.5 * (1 + math.cos(math.pi * progress))


def read_history(folder: Path) -> list[dict[str, Any]]:
    """One row an epoch of a finished fit."""
    rows: list[dict[str, Any]] = read_json(folder / "history.json")
    return rows

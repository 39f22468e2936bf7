"""A small loop: sides that learn, from rows that tell, until the epochs are over or validation stops gaining.

Knows steps, optimisers, schedules, checkpoints and bit-exact resumption. Knows nothing of teachers, trust or methods:
what is learned from a row is the objective's business.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distrust import checkpoint, schedule, taps
from distrust.data import Items
from distrust.errors import RunError, TeacherError
from distrust.files import read_json
from distrust.labelled import Labelled
from distrust.processes import Processes, seed, wait
from distrust.recipe import Train
from distrust.rows import Completions, Rows
from distrust.sharding import bare
from distrust.sides import AWRY, Joint, Side, apart, awry, prefix, together
from distrust.students import Encoded, Student
from distrust.students.causal import writer

__all__ = ["Fit", "Joint", "Progress", "Side", "fit", "read_history"]

TICK = 2.0  # seconds in the middle of an epoch after which progress is told again
Progress = Callable[[str, int, int, Mapping[str, float]], None]  # task, steps done, of how many, an ended epoch's figures


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
    joint: Joint | None = None  # what the sides minimise together, in place of their objectives
    timed: Callable[[list[float]], None] = lambda _: None  # told process seconds of each epoch's steps, without its figures


def fit(sides: Sequence[Side], task: Fit) -> list[dict[str, Any]]:
    """Train the sides to the end of their task, from the last checkpoint if there is one; returns one row an epoch.

    The first side is the one that validation judges.

    The result depends on the student's initial weights, the training set, the options and the seed, on the device and
    the thread count, and on nothing else: not on where it was interrupted, nor on the global random state, which is
    left as it was.

    Raises:
        RunError: a training set that tells nothing, or a loss that is not finite.
        TeacherError: a loss that is not finite because what a side beside the student says is not.
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
    loop = _Loop(sides, rows, task, Processes(sides, task.options))
    with ExitStack() as around:
        around.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        around.enter_context(loop.processes)
        for side in sides:
            side.begin()
            side.tapped = around.enter_context(taps.tapped(bare(side.student.module), side.objective.taps))
        state = checkpoint.resume(task.folder, sides)
        while state.epoch < task.options.num_train_epochs and not state.stopped:
            _epoch(loop, state)
        checkpoint.keep_best(sides, state)
        wait()
    task.timed(state.seconds[:-1])
    return state.history


@dataclass(frozen=True)
class _Loop:
    """What stays the same from step to step."""

    sides: Sequence[Side]
    rows: Rows | Completions
    task: Fit
    processes: Processes


def _epoch(loop: _Loop, state: checkpoint.State) -> None:
    """The rest of one epoch, from the step the state is at, and its end: a row, validation, the best weights."""
    task, options, processes, items = loop.task, loop.task.options, loop.processes, len(loop.rows)
    steps = schedule.steps(items, options, processes.count)
    total = steps * options.num_train_epochs
    for side in loop.sides:
        side.student.module.train(not side.steady)
    told = time.monotonic()
    for index, chosen in enumerate(schedule.order(items, task.seed, state.epoch, options, processes.count)):
        if index < state.step:
            continue
        began = time.process_time()
        parts = _step(loop, chosen, state.epoch * steps + index, total)
        state.add(parts, time.process_time() - began)
        if state.step < steps:
            _save(loop, state)
            if time.monotonic() - told > TICK:
                told = time.monotonic()
                _tell(loop, state.epoch * steps + state.step, total, {})
    figures = _close(loop, state)
    _save(loop, state)
    _tell(loop, total if state.stopped else state.epoch * steps, total, figures)


def _tell(loop: _Loop, done: int, total: int, figures: Mapping[str, float]) -> None:
    if loop.task.progress and loop.processes.rank == 0:
        loop.task.progress(loop.task.name, done, total, figures)


def _save(loop: _Loop, state: checkpoint.State) -> None:
    """A checkpoint, when the last one is old enough."""
    if loop.processes.agreed(time.monotonic() - state.saved) > loop.task.options.save_seconds:
        checkpoint.save(loop.task.folder, loop.sides, state)
        state.saved = time.monotonic()


def _step(loop: _Loop, chosen: Tensor, step: int, total: int) -> dict[str, Tensor]:
    """One move on rows (n,): split into micro-batches, each divided by the whole step's count."""
    processes, joint = loop.processes, loop.task.joint
    if joint is not None and joint.rewrite is not None:
        assert isinstance(loop.rows, Completions), "only completions are written anew"
        rows = joint.rewrite(loop.sides, loop.rows, chosen, step, total)
        loop, chosen = replace(loop, rows=rows), torch.arange(len(rows))
    moving = [side for side in loop.sides if side.moves(step)]
    parts: dict[str, Tensor] = {}
    batches = processes.share(chosen)
    several = len(batches) > 1 or processes.count > 1 or joint is not None
    count = processes.total(loop.rows.count(chosen)) if several else None
    for number, micro in enumerate(batches):
        drawn = (loop.task.seed, step, processes.rank, number)
        for name, value in _look(loop, moving, micro, count, step / total, drawn).items():
            parts[name] = parts[name] + value if name in parts else value
    for side in moving:
        side.optimiser.step(schedule.rate(step, total, side.options))
    return parts


def _look(
    loop: _Loop, moving: Sequence[Side], micro: Tensor, count: Tensor | None, progress: float, drawn: tuple[int, ...]
) -> dict[str, Tensor]:
    """Every side's answers to a micro-batch (n,), and gradients of those that move; returns the parts of their losses."""
    sides, processes, joint = loop.sides, loop.processes, loop.task.joint
    inputs, batch = loop.rows.take(micro if len(micro) else torch.zeros(1, dtype=torch.long))
    if not len(micro):  # a process with no row of its own computes all the same: few models can read an empty batch
        batch["weight"] = torch.zeros_like(batch["weight"]) if joint else torch.zeros(1)
    batch["progress"] = torch.tensor(progress)
    batch = processes.place(batch)
    if count is not None:
        batch["count"] = count
    with processes.precision():
        said: dict[str, Any] = {}
        for side, own in zip(sides, inputs, strict=True):
            seed(*drawn, side.salt)  # dropout depends on the step and the side, on nothing before
            with nullcontext() if side in moving else torch.no_grad():
                placed = processes.place(own)
                said[side.name] = writer(side.student).hidden(placed) if joint else side.student.logits(placed)
        if joint is None:
            losses, parts = apart(sides, moving, said, batch)
        else:
            losses, parts = together(sides, joint.losses(said, batch))
            parts |= awry(sides, said)
    for loss in losses:
        processes.backward(loss)
    return parts


def _close(loop: _Loop, state: checkpoint.State) -> dict[str, float]:
    """End an epoch: its figures, validation, the best weights. Raises as `fit` where the loss is not finite."""
    sides, task, joint = loop.sides, loop.task, loop.task.joint
    means = state.means()
    wry = next((side for side in sides if means.pop(side.name + AWRY, 0)), None)
    figures: dict[str, float] = {}
    for side in sides if joint is None else ():  # the loss is linear in its terms: no step has to add them up for the record
        start = prefix(sides, side)
        own = {name: means[start + name] for name in side.objective.terms if start + name in means}
        figures |= {start + "loss": sum(side.objective.terms[name].weight * mean for name, mean in own.items())}
        figures |= {start + name: mean for name, mean in own.items()}
    if joint is not None:
        figures |= {"loss": sum(value for name, value in means.items() if "." not in name), **means}
        figures |= {} if joint.measure is None else joint.measure(sides)
    wild = next((value for value in figures.values() if not math.isfinite(value)), None)
    if wild is not None and wry is not None:
        hint = " or lower its learning rate" if wry.every else ""
        raise TeacherError(
            f"{wry.who or wry.name}'s logits are not finite in epoch {state.epoch + 1}, where its student's still were; "
            f"look at its weights{hint}."
        )
    if wild is not None:
        raise RunError(
            f"{task.name} has a loss of {wild} in epoch {state.epoch + 1}; lower train.learning_rate "
            "or look for extreme values in the inputs."
        )
    if task.validate is not None:
        figures["validation"] = loop.processes.agreed(task.validate(sides[0].student))
        state.judge(figures["validation"], sides, task.options.early_stopping_patience)
    state.end_epoch({"fit": task.name, "epoch": state.epoch + 1, **figures})
    return figures


def read_history(folder: Path) -> list[dict[str, Any]]:
    """One row an epoch of a finished fit."""
    rows: list[dict[str, Any]] = read_json(folder / "history.json")
    return rows

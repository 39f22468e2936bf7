"""Runs stopped at moments of our choosing, and what a caller handed over as it was: for the conformance tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from distrust.run import Run
from distrust.students import Student

MOMENTS = (2, 5, 9, 17, 40, 80)  # within an epoch, at its end, after a fit's last step, and in later fits


class Stop(Exception):
    """What a kill is here."""


class Stops:
    """Stops a run at its n-th moments: a forward pass of a student of it, or the end of an epoch."""

    def __init__(self, moments: tuple[int, ...] = MOMENTS) -> None:
        self.moments, self.seen, self.stopped = moments, 0, 0

    def through(self, opened: Callable[[], AbstractContextManager[Run]], carry: Callable[[Run], Student]) -> Student:
        """Carry out a run, opened anew after each stop, with another random state as another process has."""
        while True:
            torch.manual_seed(100 + self.stopped)
            with opened() as run:
                self._beset(run)
                try:
                    return carry(run)
                except Stop:
                    self.stopped += 1

    def _beset(self, run: Run) -> None:
        made = run.new_student

        def new_student(seed: int) -> Student:
            student = made(seed)
            first = next(one for one in student.module.modules() if any(True for _ in one.parameters(recurse=False)))
            first.register_forward_pre_hook(self._moment)
            return student

        run.new_student, run.progress = new_student, self._moment

    def _moment(self, *_: nn.Module | object) -> None:
        self.seen += 1
        if self.seen in self.moments:
            raise Stop


def plain(one: Any) -> Any:
    """Items, gold, options: as values that share nothing with them, to compare with what they are later."""
    if isinstance(one, Tensor):
        return one.tolist()
    if isinstance(one, BaseModel):
        return one.model_dump(), sorted(one.model_fields_set)
    if is_dataclass(one):
        return {field.name: plain(getattr(one, field.name)) for field in fields(one)}
    if isinstance(one, Mapping):
        return {name: plain(value) for name, value in one.items()}
    if isinstance(one, list | tuple):
        return [plain(value) for value in one]
    return copy.deepcopy(one)


def finished(folder: Path) -> dict[str, int]:
    """The finished stages of a run's folder, and when each was."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (folder / "stages").rglob("done.json")}

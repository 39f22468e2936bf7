"""What a person sees while a run goes on: bars on a terminal, a line per finished stage elsewhere.

Knows rich. Knows nothing of what goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distrust.teachers.buying import Progress as Buying


class Progress:
    """Bars for fits and for buying; quiet where nobody watches."""

    def __init__(self) -> None:
        self.watched = sys.stderr.isatty()
        self.bars: Any = None
        self.tasks: dict[str, Any] = {}
        self.said: set[str] = set()

    def __enter__(self) -> Progress:
        if self.watched:
            from rich import progress
            from rich.console import Console

            self.bars = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[figures]}", markup=False),
                console=Console(stderr=True),
            )
            self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def fitting(self, task: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        """A fit has come to step `done` of `total`."""
        said = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self._show(f"fit {task}", done, total, said)

    def buying(self, bought: Buying) -> None:
        """Buying has come to an answer."""
        self._show(f"ask {bought.teacher}", bought.done, bought.wanted, cost(bought))

    def say(self, sentence: str) -> None:
        """A note, once, above the bars; text from outside is made inert."""
        from distrust.secrets import show

        if sentence in self.said:
            return
        self.said.add(sentence)
        line = show(sentence, limit=1000)
        if self.bars is None:
            print(line, file=sys.stderr)
        else:
            self.bars.console.print(line, markup=False, highlight=False)

    def _show(self, name: str, done: int, total: int, figures: str) -> None:
        from distrust.secrets import show

        name = show(name)  # a teacher's name is a stranger's text where the recipe is
        if self.bars is None:
            if done >= total:
                print(f"{name}: {done} of {total}  {figures}", file=sys.stderr)
            return
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(name, total=total, figures="")
        new = {"figures": figures} if figures else {}  # in the middle of an epoch the last one's stay
        self.bars.update(self.tasks[name], completed=done, total=total, **new)


def cost(bought: Buying) -> str:
    """What it has cost so far, and how long it will still take."""
    said = "cost unknown" if bought.money is None else f"cost {bought.money:.4f}"
    left = bought.seconds_left
    return said if left is None else f"{said}, {left:.0f} s left"

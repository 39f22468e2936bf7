"""A comparison under way: one table of methods and seeds on a terminal, a line for each finished cell elsewhere.

Knows rich, and how much of a table fits. Knows nothing of how a cell is carried out. No name is obeyed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from distrust.cli.progress import Progress, cost
from distrust.secrets import show

if TYPE_CHECKING:
    from distrust.comparison.cells import Cell
    from distrust.comparison.figures import Outcome
    from distrust.teachers.buying import Progress as Buying

One = TypeVar("One")
NAME, STATE = 26, 18  # columns of a terminal: a method with its setting, and how far one seed of it is
AROUND = 4  # lines of a terminal that are not rows: heads, what is bought, how much is done, the cursor's


class Board:
    """What every cell of a comparison has come to."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.lines = Progress()
        self.rows = list(dict.fromkeys((cell.method, cell.setting) for cell in cells))
        self.seeds = list(dict.fromkeys(cell.seed for cell in cells))
        self.states = {_place(cell): Text("waiting", "dim") for cell in cells}
        self.left = set(self.states)
        self.running: set[tuple[str, str, int]] = set()
        self.bought = ""
        self.console = Console(stderr=True)
        watched = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.live = Live(get_renderable=self.table, console=self.console, refresh_per_second=4) if watched else None

    def __enter__(self) -> Board:
        if self.live is not None:
            self.live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        if self.live is not None:
            self.live.stop()

    def going(self, cell: Cell, name: str, done: int, total: int) -> None:
        """A cell has come so far in something."""
        self.running.add(_place(cell))
        share = f" {done / total:.0%}" if total else ""
        self.states[_place(cell)] = Text(show(name, STATE - 2 - len(share)) + share)

    def finished(self, cell: Cell, found: Outcome | str) -> None:
        """A cell came to an outcome, or to a sentence that says why not."""
        self.running.discard(_place(cell))
        self.left.discard(_place(cell))
        if isinstance(found, str):
            self.states[_place(cell)] = Text("not carried out", "red")
            said = f"{cell.shown}: not carried out. {found}"
        else:
            right = f"{found.right.double().mean():.1%}"
            self.states[_place(cell)] = Text(f"{right}  {found.seconds:,.0f} s", "green")
            said = f"{cell.shown}: {right} right, {found.seconds:.1f} s"
        if self.live is None:
            self.lines.say(said)
        elif isinstance(found, str):
            self.console.print(show(said, limit=1000), markup=False, highlight=False)

    def buying(self, bought: Buying) -> None:
        """Buying for all cells has come to an answer."""
        if self.live is None:
            self.lines.buying(bought)
        else:
            self.bought = f"ask {show(bought.teacher)}: {bought.done} of {bought.wanted}, {cost(bought)}"

    def table(self) -> Table:
        """As much of it as the terminal holds, from the first seed that is not done and the first row at work."""
        left, running = tuple(self.left), tuple(self.running)  # rich asks from a thread of its own
        width, height = self.console.size
        seeds = _window(self.seeds, (width - NAME) // STATE, {seed for _, _, seed in left})
        rows = _window(self.rows, height - AROUND, {(method, setting) for method, setting, _ in running})
        drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), caption_justify="left")
        drawn.add_column(Text("method"), header_style="dim", width=NAME - 2, no_wrap=True)
        for seed in seeds:
            drawn.add_column(Text(f"seed {seed}"), header_style="dim", width=STATE - 2, no_wrap=True)
        for method, setting in rows:
            name = show(f"{method}, {setting}" if setting else method, NAME - 2)
            drawn.add_row(Text(name), *(self.states[method, setting, seed] for seed in seeds))
        said = f"{len(self.states) - len(left)} of {len(self.states)} done, {len(running)} at work"
        drawn.caption = Text("\n".join(filter(None, [self.bought, said])), "dim", overflow="ellipsis", no_wrap=True)
        return drawn


def _place(cell: Cell) -> tuple[str, str, int]:
    return cell.method, cell.setting, cell.seed


def _window(every: Sequence[One], most: int, wanted: Set[One]) -> Sequence[One]:
    """So many of them side by side as fit, one at least, from the first that is wanted on."""
    most = max(1, most)
    first = next((place for place, one in enumerate(every) if one in wanted), 0)
    return every[max(0, min(first, len(every) - most)) :][:most]

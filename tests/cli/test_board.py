"""A comparison under way, on a real terminal and elsewhere: every state, names inert, the terminal left as it was."""

from __future__ import annotations

import re
from itertools import product
from typing import Any, cast

import pytest
import torch

from distrust.cli.board import Board
from distrust.comparison.cells import Cell
from distrust.comparison.figures import Outcome
from distrust.teachers.buying import Progress as Buying
from tests.cli.terminal import on_a_terminal

ODD = "[/b] \x1b]0;owned\x07"


def cells(methods: list[str], seeds: int, settings: tuple[str, ...] = ("",)) -> list[Cell]:
    places = product(range(seeds), settings, methods)
    return [Cell(method, setting, {}, seed, cast(Any, None)) for seed, setting, method in places]


def outcome(cell: Cell, share: float = 0.75) -> Outcome:
    return Outcome(cell.method, cell.setting, cell.seed, torch.arange(100) < 100 * share, None, 12.4, 0, None)


def last(said: str) -> list[str]:
    """The lines of the table as it was drawn last, without colours."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).replace("\r", "")
    return [line.rstrip() for line in plain[plain.rindex("method ") :].splitlines() if line.strip()]


def test_on_a_terminal_every_cell_has_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    every = cells(["distill", ODD], 2)

    def work() -> None:
        with Board(every) as board:
            board.buying(Buying(ODD, 1, 3, 1, 2.0, 0.25))
            board.going(every[0], "fit student", 1, 4)
            board.finished(every[0], outcome(every[0]))
            board.finished(every[1], f"It cannot: {ODD}")
            board.going(every[2], f"fit {ODD}", 1, 4)

    said = on_a_terminal(monkeypatch, work)
    table = last(said)
    assert table[0].split() == ["method", "seed", "0", "seed", "1"]
    assert re.split("  +", table[1]) == ["distill", "75.0%", "12 s", r"fit [/b] \x… 25%"]
    assert re.split("  +", table[2]) == [r"[/b] \x1b]0;owned\x07", "not carried out", "waiting"]
    assert table[3] == r"ask [/b] \x1b]0;owned\x07: 1 of 3, cost 0.2500, 4 s left" and table[4] == "2 of 4 done, 1 at work"
    assert r"seed 0: not carried out. It cannot: [/b] \x1b]0;owned\x07" in said
    assert "\x1b]0;" not in said and "\x07" not in said


def test_after_ctrl_c_the_terminal_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with pytest.raises(KeyboardInterrupt), Board(cells(["a", "b"], 1)):
            raise KeyboardInterrupt

    said = on_a_terminal(monkeypatch, work)
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1 and said.index("\x1b[?25l") < said.index("\x1b[?25h")
    assert said.endswith("\n") or said.endswith("\x1b[?25h")


def test_a_table_larger_than_the_terminal_shows_what_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    every = cells([f"m{place}" for place in range(9)], 9, ("gold.size=10", "gold.size=20"))

    def work() -> None:
        with Board(every) as board:
            for cell in every[:40]:
                board.finished(cell, outcome(cell))
            board.going(every[40], "fit student", 0, 2)

    table = last(on_a_terminal(monkeypatch, work, columns=64, lines=9))
    assert table[0].split() == ["method", "seed", "2", "seed", "3"], "seeds 0 and 1 are done"
    assert [row.split(",")[0] for row in table[1:-1]] == ["m4", "m5", "m6", "m7", "m8"] and "fit student 0%" in table[1]
    assert table[-1] == "40 of 162 done, 1 at work" and all(len(row) <= 64 for row in table)


def test_elsewhere_a_finished_cell_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    every = cells(["distill", ODD], 1)
    with Board(every) as board:
        board.buying(Buying("gpt", 3, 3, 3, 6.0, 0.5))
        board.going(every[0], "fit student", 1, 4)
        board.finished(every[0], outcome(every[0]))
        board.finished(every[1], "It cannot.")
    assert capsys.readouterr().err.splitlines() == [
        "ask gpt: 3 of 3  cost 0.5000, 0 s left",
        "distill, seed 0: 75.0% right, 12.4 s",
        r"[/b] \x1b]0;owned\x07, seed 0: not carried out. It cannot.",
    ]

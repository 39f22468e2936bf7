"""What a person sees meanwhile: bars on a real terminal, one line a finished stage elsewhere, and no name is obeyed."""

from __future__ import annotations

import re

import pytest

from distrust.cli.progress import Progress
from distrust.teachers.buying import Progress as Buying
from tests.cli.terminal import on_a_terminal

ODD = "[/b] \x1b]0;owned\x07"


def test_elsewhere_a_stage_is_a_line_once_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.fitting("student", 1, 2, {"loss": 9.0})
        progress.buying(Buying("gpt", 1, 3, 1, 2.0, None))
        assert capsys.readouterr().err == ""
        progress.fitting("student", 2, 2, {"loss": 0.25, "gold": 0.125})
        progress.buying(Buying("gpt", 3, 3, 3, 6.0, 0.5))
        progress.buying(Buying("old", 3, 3, 0, 6.0, None))
    assert capsys.readouterr().err.splitlines() == [
        "fit student: 2 of 2  loss 0.2500  gold 0.1250",
        "ask gpt: 3 of 3  cost 0.5000, 0 s left",
        "ask old: 3 of 3  cost unknown",
    ]


def test_a_note_is_said_once_and_inert(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for sentence in (f"Note: {ODD}\nnext", f"Note: {ODD}\nnext", "Note: other", "x" * 3000):
            progress.say(sentence)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [r"Note: [/b] \x1b]0;owned\x07 next", "Note: other"] and len(lines) == 3 and len(lines[2]) == 1000


def test_a_name_from_a_strangers_recipe_is_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.buying(Buying(ODD, 1, 1, 1, 1.0, None))
        progress.fitting(ODD, 1, 1, {})
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\x07" not in said and said.count(r"[/b] \x1b]0;owned\x07: 1 of 1") == 2


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with Progress() as progress:
            progress.fitting("student", 1, 4, {"loss": 0.5})
            progress.buying(Buying(ODD, 1, 3, 1, 2.0, 0.25))
            progress.say("[red]A note.[/red]")
            progress.fitting("student", 4, 4, {"loss": 0.125})
            progress.fitting("other", 2, 6, {"loss": 0.75})
            progress.fitting("other", 3, 6, {})

    said = on_a_terminal(monkeypatch, work)
    assert "fit student" in said and "4/4" in said and "loss 0.1250" in said
    assert re.search(r"fit other[^\n]*3/6[^\n]*loss 0.7500", said), (
        "the last epoch's figures stay while the next one goes on"
    )
    assert "cost 0.2500, 4 s left" in said and r"ask [/b] \x1b]0;owned\x07" in said and "\x1b]0;" not in said
    assert "[red]A note.[/red]" in said

"""The way in and out of the command line: help without weight, exit codes, sentences instead of tracebacks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

from distrust import cli
from distrust.errors import DataError
from tests.cli.test_commands import SCRIPT
from tests.cli.world import Call


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["why", "--help"], [], ["nonsense"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == (0 if "--help" in words else 2)


def test_every_command_is_there_and_says_what_it_does(distrust: Call) -> None:
    code, out, _ = distrust("--help")
    names = ["run", "plan", "annotate", "demo", "init", "report", "why", "methods", "predict", "evaluate", "doctor"]
    assert code == 0 and all(f"\n  {name} " in out for name in names)
    assert "Exit codes: 0 done" in out and "130 interrupted" in out


@pytest.mark.parametrize("words", [["run"], ["rnu"], ["run", "a", "b"], ["run", "--sett", "x", "r"], ["why", "--run"]])
def test_a_command_that_is_none_is_refused(distrust: Call, words: list[str]) -> None:
    code, out, err = distrust(*words)
    assert code == 2 and not out and "Traceback" not in err and "Error: " in err


def raising(error: BaseException) -> Callable[..., Any]:
    def app(**_: Any) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("The file \x1b[31mis\nwrong."), 2, "distrust: The file \\x1b[31mis wrong.\n"),
        (
            KeyboardInterrupt(),
            130,
            "distrust: Interrupted; what was bought and trained is kept, and the same command goes on.\n",
        ),
        (KeyboardInterrupt("Stopped asking teacher 'a'."), 130, "distrust: Stopped asking teacher 'a'.\n"),
        (typer.Abort(), 130, "distrust: Interrupted.\n"),
        (typer.Exit(3), 3, ""),
    ],
)
def test_ends(distrust: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str) -> None:
    monkeypatch.setattr(cli, "app", raising(error))
    assert distrust("run") == (code, "", said)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        cli.main()


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "distrust", "run", "no.yaml"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("distrust: There is no recipe no.yaml")

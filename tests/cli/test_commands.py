"""The command line as a process: quick help, exit codes, no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
sys.argv = ["distrust", *sys.argv[1:]]
from distrust.cli import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "numpy", "pyarrow", "sklearn", "aiohttp"} & set(sys.modules)
    assert not heavy, heavy
"""


@pytest.mark.parametrize("command", ["init", "doctor", "predict", "evaluate"])
def test_help_shows_an_example_and_loads_nothing_heavy(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, command, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and f"distrust {command} " in done.stdout.split("Example", 1)[1]


def test_a_mistaken_option_is_refused_before_anything_heavy() -> None:
    call = [sys.executable, "-c", SCRIPT, "predict", "a", "b", "--recipe", "c"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("distrust: --recipe and --teacher serve --defer-below")

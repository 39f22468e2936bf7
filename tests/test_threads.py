"""Threads of a process's libraries: as many as are asked for, in what it starts too, and afterwards as before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from distrust.threads import VARIABLES, inherited

ASKED = f"import os, torch; print(torch.get_num_threads(), *(os.environ.get(name) for name in {VARIABLES}))"


def told() -> str:
    return subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=120, check=True).stdout


def test_a_new_process_has_so_many_threads_and_the_variables_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    before = {name: os.environ.get(name) for name in VARIABLES}
    with inherited(1):
        assert told() == "1 1 1 1\n"
    assert {name: os.environ.get(name) for name in VARIABLES} == before
    with pytest.raises(KeyError), inherited(2):
        raise KeyError
    assert {name: os.environ.get(name) for name in VARIABLES} == before

"""Cells of a benchmark: measured once, and again under another program."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import _cells
from benchmarks._cells import kept, once


def test_a_cell_is_measured_once(tmp_path: Path) -> None:
    measured: list[int] = []

    def measure() -> dict[str, float]:
        measured.append(1)
        return {"accuracy": 0.5}

    for _ in range(2):
        assert once(tmp_path / "new" / "cell.json", measure) == {"accuracy": 0.5}
    assert len(measured) == 1


def test_another_program_has_other_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.py"
    own.write_text("a = 1")
    monkeypatch.setattr(_cells, "__file__", str(tmp_path / "_cells.py"))
    before = kept("some", "own.py")
    assert before == kept("some", "own.py") != kept("some", "own.py", of=2)
    own.write_text("a = 2")
    assert kept("some", "own.py") != before

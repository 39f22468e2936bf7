"""Small tables of news, written as people have them, and the command line as it is called."""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from distrust.cli import main

WORDS = {
    "alpha": ["profit", "dividend", "quarter", "shares", "net", "income"],
    "beta": ["wheat", "harvest", "corn", "tonnes", "crop", "maize"],
    "gamma": ["oil", "barrel", "opec", "petroleum", "refinery", "output"],
}
FILLER = ["the", "of", "to", "said", "yesterday", "company", "market", "report", "while", "again"]
LABELS = tuple(WORDS)
Row = dict[str, Any]
Call = Callable[..., tuple[int, str, str]]


def news(count: int, seed: int = 0, gold: int | None = None, clear: float = 0.5) -> list[Row]:
    """Rows with `id`, `text`, `label` (the first `gold` of them) and `gpt_label`, which is wrong on a fifth."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        label = rng.choice(LABELS)
        text = " ".join(rng.choice(WORDS[label] if rng.random() < clear else FILLER) for _ in range(10))
        said = label if rng.random() < 0.8 else LABELS[(LABELS.index(label) + 1) % 3]
        vouched = label if gold is None or number < gold else ""
        rows.append({"id": f"{seed}-{number}", "text": f"{text} {number}", "label": vouched, "gpt_label": said})
    return rows


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Rows as a CSV file."""
    listed = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(listed[0]))
        table.writeheader()
        table.writerows(listed)
    return path


def caller(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`distrust ARGUMENTS`, in this process: its exit code and what it wrote to stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["distrust", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        return int(done.value.code or 0), said.out, said.err

    return call

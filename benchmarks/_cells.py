"""What a benchmark has measured of one cell, kept until the rest is done: a run that is started again goes on.

Knows files, and which program they are of. Knows nothing of what is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distrust
from distrust.files import fingerprint, read_json, write_json


def kept(benchmark: str, *modules: str, of: Any = None) -> Path:
    """Where cells wait: a folder whose name changes with any line of the package, or of these modules of the benchmarks.

    Args:
        modules: file names beside this one.
        of: what else decides what a cell comes to.
    """
    here = [Path(__file__).parent / name for name in modules]
    files = sorted([*Path(distrust.__file__).parent.rglob("*.py"), *here])
    program = fingerprint([file.read_text(encoding="utf-8") for file in files], of)[:16]
    return Path(tempfile.gettempdir()) / f"distrust-{benchmark}-{program}"


def once(place: Path, measure: Callable[[], Any]) -> Any:
    """What is kept at `place` (JSON), measured now where nothing is."""
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, measure())
    return read_json(place)

"""The one shape of a benchmark's result: figures, settings, seeds, and where they were taken.

A benchmark is a module with `run(quick: bool) -> Result`. Knows nothing of what is measured.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from distrust.files import write_json

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("distrust", "torch", "transformers", "numpy", "scikit-learn", "aiohttp")


@dataclass(frozen=True)
class Result:
    """What one benchmark found. Figures are numbers by name; intervals are `NAME.low` and `NAME.high`."""

    figures: dict[str, float | bool]
    settings: dict[str, Any]
    seeds: list[int]


def keep(name: str, quick: bool, result: Result) -> Path:
    """Write `results/NAME.json` (or `NAME.quick.json`) and return its path."""
    path = RESULTS / f"{name}{'.quick' if quick else ''}.json"
    versions = {package: metadata.version(package) for package in PACKAGES} | {"python": platform.python_version()}
    value = {
        "figures": result.figures,
        "settings": result.settings,
        "seeds": result.seeds,
        "versions": versions,
        "cores": len(os.sched_getaffinity(0)),
        "process_seconds": round(sum(os.times()[:4]), 1),  # with those it waited for
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(path, value)
    return path


def table(name: str, result: Result) -> str:
    """Figures and settings as lines of text."""
    width = max(len(one) for one in (*result.figures, *result.settings))
    shown = [f"{one:<{width}}  {value:.6g}" for one, value in result.figures.items()]
    settings = [f"{one:<{width}}  {value}" for one, value in result.settings.items()]
    return "\n".join([f"{name}", *shown, "", *settings])

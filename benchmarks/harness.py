"""The one shape of a benchmark's result: figures, settings, seeds, and where they were taken.

A benchmark is a module with `run(quick: bool) -> Result`. Knows nothing of what is measured.
"""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from distrust.files import write_json

LEFT_OUT = 75  # exit code of a benchmark that needs what is not here
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("distrust", "torch", "transformers", "numpy", "scikit-learn", "aiohttp")
PEERS = ("cleanlab", "liger_kernel", "snorkel", "textbrewer", "trl")  # of which a run may have none


class Absent(Exception):
    """What a benchmark needs and is not here, in a sentence."""


@dataclass(frozen=True)
class Result:
    """What one benchmark found. Figures are numbers by name; intervals are `NAME.low` and `NAME.high`."""

    figures: dict[str, float | bool]
    settings: dict[str, Any]
    seeds: list[int]


def needs_data(name: str) -> Path:
    """The folder of the optional data sets. Raises Absent where there is none."""
    folder = os.environ.get("DISTRUST_DATA")
    if not folder or not Path(folder).is_dir():
        raise Absent(f"The benchmark {name} needs the optional data sets: set DISTRUST_DATA to their folder.")
    return Path(folder)


def keep(name: str, quick: bool, result: Result) -> Path:
    """Write `results/NAME.json` (or `NAME.quick.json`) and return its path."""
    path = RESULTS / f"{name}{'.quick' if quick else ''}.json"
    versions = {package: metadata.version(package) for package in (*PACKAGES, *filter(_installed, PEERS))}
    value = {
        "figures": result.figures,
        "settings": result.settings,
        "seeds": result.seeds,
        "versions": versions | {"python": platform.python_version()},
        "commit": _commit(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "process_seconds": round(sum(os.times()[:4]), 1),  # with those it waited for
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(path, value)
    return path


def processor() -> str:
    """The processor's model, as Linux names it; elsewhere what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def table(name: str, result: Result) -> str:
    """Figures and settings as lines of text."""
    width = max(len(one) for one in (*result.figures, *result.settings))
    shown = [f"{one:<{width}}  {value:.6g}" for one, value in result.figures.items()]
    settings = [f"{one:<{width}}  {value}" for one, value in result.settings.items()]
    return "\n".join([f"{name}", *shown, "", *settings])


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _commit() -> str | None:
    """Of the program, with a `+` where files differ from it; None outside a clone."""
    try:
        here = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=RESULTS.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return here.stdout.strip()

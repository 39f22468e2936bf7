from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import harness


def test_a_result_is_kept_in_the_one_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    result = harness.Result({"speed": 2.5, "speed.low": 2.0}, {"size": 3}, [0, 1])
    path = harness.keep("some", True, result)
    assert path == tmp_path / "some.quick.json" and harness.keep("some", False, result).name == "some.json"
    kept = json.loads(path.read_text())
    assert list(kept) == [
        "figures",
        "settings",
        "seeds",
        "versions",
        "commit",
        "cores",
        "processor",
        "process_seconds",
        "date",
    ]
    assert kept["process_seconds"] > 0 and kept["processor"] == harness.processor() != ""
    assert kept["figures"] == {"speed": 2.5, "speed.low": 2.0} and kept["seeds"] == [0, 1] and kept["cores"] >= 1
    assert {"distrust", "torch", "python"} <= kept["versions"].keys()
    assert abs((datetime.now(UTC) - datetime.fromisoformat(kept["date"])).total_seconds()) < 60
    assert "speed.low  2" in harness.table("some", result)


def test_a_figure_that_is_no_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match="JSON compliant"):
        harness.keep("some", True, harness.Result({"speed": float("nan")}, {}, []))


def test_without_what_it_needs_a_benchmark_is_left_out_in_a_sentence() -> None:
    root = Path(harness.__file__).parents[1]
    bare = {name: value for name, value in os.environ.items() if name != "DISTRUST_DATA"}
    command = [sys.executable, "-m", "benchmarks", "peer_cost", "--quick"]
    tried = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, env=bare)
    assert tried.returncode == harness.LEFT_OUT
    assert tried.stderr == "The benchmark peer_cost needs the optional data sets: set DISTRUST_DATA to their folder.\n"


def test_an_unknown_benchmark_names_the_known_ones() -> None:
    root = Path(harness.__file__).parents[1]
    tried = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert tried.returncode == 2 and "annotate" in tried.stderr and "harness" not in tried.stderr.split("choose from")[1]

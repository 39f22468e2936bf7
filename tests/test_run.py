"""A run: gold in its place, one process at a folder, and gone on with after a real kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from distrust.errors import RunError
from distrust.files import read_json
from distrust.gold import Gold
from distrust.labelled import from_targets
from distrust.recipe import Train
from distrust.store import load_tensors
from tests import worlds
from tests.runs import make


def test_gold_takes_the_place_of_its_pool_items(tmp_path: Path) -> None:
    run = make(tmp_path)
    told = run.with_gold(from_targets(run.pool, torch.full((40, 3), 1 / 3)), 5.0)
    assert len(told) == 40
    gold = told.select((told.labels >= 0).nonzero().squeeze(-1))
    assert set(gold.items.ids) == set(run.gold.ids)
    assert gold.weight.tolist() == [5.0] * 9
    assert not bool(gold.targets.any()), "a gold item is told its gold label, not what teachers say of it"
    assert len(run.with_gold(from_targets(run.pool, torch.full((40, 3), 1 / 3)), 0.0).labels.unique()) == 1


def test_reserved_gold_does_not_train(tmp_path: Path) -> None:
    items, labels = worlds.points()
    run = make(tmp_path, gold=Gold(items.ids[:9], labels[:9], worlds.SPACE, {"prompt": 2, "stop": 3}))
    assert len(run.gold_labelled()) == 4


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    run = make(tmp_path)
    with pytest.raises(RunError, match="Another process is at work"):
        make(tmp_path)
    run.close()


def test_early_stopping_without_anything_to_validate_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gold\.reserve"):
        make(tmp_path, options=Train(early_stopping_patience=1))


def _start(recipe: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "distrust", "run", str(recipe)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _weights(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = sorted((run / "stages").glob("fit-*/weights.safetensors"))
    return {path.parent.name: load_tensors(path) for path in found}


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_one_never_killed(tmp_path: Path) -> None:
    """Really killed, at moments spread over the run: between stages, inside a fit, while the report is written."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    began = time.monotonic()
    whole = _start(worlds.recipe(tmp_path / "a"))
    said, _ = whole.communicate(timeout=200)
    seconds = time.monotonic() - began
    assert whole.returncode == 0, said
    recipe = worlds.recipe(tmp_path / "b")
    struck = 0
    for share in (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
        process = _start(recipe)
        time.sleep(share * seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            struck += 1
        process.communicate()
    assert struck >= 3, "the kills came too late to prove anything"
    last = _start(recipe)
    said, _ = last.communicate(timeout=200)
    assert last.returncode == 0, said
    one, other = _weights(tmp_path / "a" / "run"), _weights(tmp_path / "b" / "run")
    assert one.keys() == other.keys() and len(one) == 2
    assert all(torch.equal(one[fit][name], other[fit][name]) for fit in one for name in one[fit])
    tested = [read_json(tmp_path / name / "run" / "metrics.json")["test"] for name in "ab"]
    assert tested[0] == tested[1]


@pytest.mark.slow
def test_a_fit_killed_between_its_steps_goes_on_there(tmp_path: Path) -> None:
    """Killed as soon as a checkpoint appears, several times over, so that the strike is surely mid-epoch."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _start(worlds.recipe(tmp_path / "a")).communicate(timeout=200)
    recipe = worlds.recipe(tmp_path / "b")
    stamps: set[int] = set()
    for _ in range(3):
        process = _start(recipe)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            found = [path.stat().st_mtime_ns for path in (tmp_path / "b").glob("run/stages/fit-*/checkpoint.safetensors")]
            if any(stamp not in stamps for stamp in found):
                stamps.update(found)
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(stamps) >= 2, "no kill struck inside a fit"
    _start(recipe).communicate(timeout=200)
    one, other = _weights(tmp_path / "a" / "run"), _weights(tmp_path / "b" / "run")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[fit][name], other[fit][name]) for fit in one for name in one[fit])

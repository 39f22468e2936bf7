"""Stages: built once, whole or not at all, waited for where somebody else builds them, and timed."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest
import torch

from distrust.errors import RunError
from distrust.files import read_json
from distrust.stages import Stages, lock

KEY = "k" * 64


def test_a_stage_is_built_once_and_only_counts_when_it_is_whole(tmp_path: Path) -> None:
    stages, built = Stages(tmp_path), []

    def fail(folder: Path) -> None:
        built.append("half")
        (folder / "part").write_text("half")
        raise OSError("power")

    with pytest.raises(OSError):
        stages.done("thing", KEY, fail)
    folder = stages.done("thing", KEY, lambda folder: built.append((folder / "part").read_text()))
    stages.done("thing", KEY, lambda folder: built.append("again"))
    assert built == ["half", "half"]
    assert read_json(folder / "done.json")["threads"] == torch.get_num_threads()


def test_its_process_time_is_known_to_whoever_asks_for_it(tmp_path: Path) -> None:
    def work(_: Path) -> None:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass

    first, later = Stages(tmp_path), Stages(tmp_path)
    folder = first.done("thing", KEY, work)
    later.done("thing", KEY, work)
    assert first.seconds == later.seconds and first.seconds[folder.name] >= 0.05


def _slowly(folder: Path, begun: Path) -> None:
    def build(here: Path) -> None:
        begun.touch()
        time.sleep(0.5)
        (here / "who").write_text("first")

    Stages(folder).done("thing", KEY, build)


def test_a_stage_that_another_process_builds_is_waited_for(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    other = multiprocessing.get_context("spawn").Process(target=_slowly, args=(tmp_path, begun))
    other.start()
    try:
        until = time.monotonic() + 120
        while not begun.is_file() and time.monotonic() < until:
            time.sleep(0.01)
        folder = Stages(tmp_path).done("thing", KEY, lambda here: (here / "who").write_text("second") and None)
    finally:
        other.join()
    assert (folder / "who").read_text() == "first"


def test_a_held_folder_is_refused_to_another(tmp_path: Path) -> None:
    import os

    held = lock(tmp_path)
    with pytest.raises(RunError, match="Another process is at work"):
        lock(tmp_path)
    os.close(held)
    os.close(lock(tmp_path))

"""The embedded default: real digits, two teachers wrong on purpose, and a student above them all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from distrust import demo
from distrust.files import read_json


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "run"
    began = time.process_time()
    page = demo.demo(folder)
    assert page == folder / "report.html" and time.process_time() - began < 90
    return folder


def test_it_believes_whom_gold_says_to_believe(played: Path) -> None:
    found = read_json(played / "metrics.json")
    accuracy = {
        name: one["accuracy"]["value"] for name, one in found["test"].items() if isinstance(one, dict) and "accuracy" in one
    }
    student = accuracy["student"]
    assert student > accuracy["gold_only"] and student > accuracy["distill_hard"], accuracy
    assert demo.SIMULATED in found["simulated"] and demo.SIMULATED.split(":")[0] in (played / "report.html").read_text()


def test_two_teachers_are_wrong_in_pairs(played: Path) -> None:
    found = read_json(played / "metrics.json")["teachers"]
    assert set(found) == {"careful", "hasty", "young", *demo.EXCHANGED}
    wrong = [found[name]["accuracy"]["value"] for name in demo.EXCHANGED]
    assert max(wrong) < found["careful"]["accuracy"]["value"]


def test_a_second_time_nothing_is_done_again(played: Path) -> None:
    stages = {path: path.stat().st_mtime_ns for path in played.glob("stages/*/done.json")}
    before = read_json(played / "metrics.json")
    demo.demo(played)
    assert {path: path.stat().st_mtime_ns for path in played.glob("stages/*/done.json")} == stages
    assert read_json(played / "metrics.json") == before


def test_pairs_are_exchanged_and_nothing_else() -> None:
    labels = torch.arange(10)
    assert demo._exchange(labels, ((3, 5), (4, 9))).tolist() == [0, 1, 2, 5, 9, 3, 6, 7, 8, 4]
    assert labels.tolist() == list(range(10))


def test_pool_gold_and_test_are_apart() -> None:
    images, labels = demo._digits(0)
    assert images.shape == (1797, 8, 8) and float(images.min()) == 0.0 and float(images.max()) == 1.0
    assert sorted(set(labels.tolist())) == list(range(10))
    again, _ = demo._digits(0)
    other, _ = demo._digits(1)
    assert torch.equal(images, again) and not torch.equal(images, other)

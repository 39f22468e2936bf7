"""The benchmark of kernels: its contenders compute one thing, or its ratios would mean nothing."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from benchmarks import _kernel_numbers, kernels
from benchmarks._kernel_numbers import numbers
from benchmarks.kernels import CONTENDERS, PEERS, _floor


@pytest.mark.parametrize("name", ["ours", "two_sided", "trl", "liger"])
def test_every_contender_finds_the_gradients_of_whole_logits(name: str) -> None:
    if name in PEERS and not importlib.util.find_spec(PEERS[name][0]):
        pytest.skip(f"{name} is not installed here")
    made = numbers(8, 6, 50, 20)
    found = []
    for one in ("naive", name):
        made[0].grad = made[1].grad = None
        CONTENDERS[one](made)()
        assert made[0].grad is not None and made[1].grad is not None and bool(made[0].grad.any())
        found.append((made[0].grad, made[1].grad))
    for mine, plain in zip(*found, strict=True):
        assert torch.allclose(mine, plain, atol=1e-6)


def test_stored_targets_and_several_teachers_are_the_ones_that_are_meant() -> None:
    for name, places in ((f"top{kernels.TOP}", 50), (f"teachers{kernels.TEACHERS}", 50)):  # all classes are stored here
        made, found = numbers(8, 6, places, 20), []
        for one in ("naive", name):
            made[0].grad = made[1].grad = None
            CONTENDERS[one](made)()
            assert made[0].grad is not None and made[1].grad is not None
            found.append((made[0].grad, made[1].grad))
        for mine, plain in zip(*found, strict=True):
            assert torch.allclose(mine, plain, atol=1e-6), name
    assert kernels.FLOORS == {"top64": 0, "teachers3": 3}


def test_times_of_these_are_over_their_own_products() -> None:
    times = kernels._interleaved(numbers(8, 6, 70, 20), 2, [*kernels.FLOORS])
    assert set(times) == {"ours", "floor", *kernels.FLOORS, *(f"{name}.floor" for name in kernels.FLOORS)}
    assert kernels._spread("x", [2.0, 3.0, 8.0], [1.0, 2.0, 2.0]) == {"x": 2.0, "x.low": 1.5, "x.high": 4.0}


def test_the_floor_runs_the_four_products_and_errors_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    _floor(numbers(8, 6, 50, 300))()
    monkeypatch.setattr(_kernel_numbers, "numbers", lambda *sizes: numbers(24, 32, 600, 40))
    of = _kernel_numbers.all_errors()
    assert 0 < of["max_error"] < 1e-5 and 0 < of["max_error.two_sided"] < 1e-5
    assert 1e-4 < of["max_error.bf16"] < 2 * of["max_error.bf16.naive"]

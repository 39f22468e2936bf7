"""The benchmark of kernels: its contenders compute one thing, or its ratios would mean nothing."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from benchmarks.kernels import CONTENDERS, PEERS, _error, _floor, _made


@pytest.mark.parametrize("name", ["ours", "two_sided", "trl", "liger"])
def test_every_contender_finds_the_gradients_of_whole_logits(name: str) -> None:
    if name in PEERS and not importlib.util.find_spec(PEERS[name][0]):
        pytest.skip(f"{name} is not installed here")
    made = _made(8, 6, 50, 20)
    found = []
    for one in ("naive", name):
        made[0].grad = made[1].grad = None
        CONTENDERS[one](made)()
        assert made[0].grad is not None and made[1].grad is not None and bool(made[0].grad.any())
        found.append((made[0].grad, made[1].grad))
    for mine, plain in zip(*found, strict=True):
        assert torch.allclose(mine, plain, atol=1e-6)


def test_the_floor_runs_the_four_products_and_the_error_is_small() -> None:
    _floor(_made(8, 6, 50, 300))()
    assert 0 < _error() < 1e-5

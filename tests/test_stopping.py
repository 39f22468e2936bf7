"""What the next block gains: by hand on a clean power law, and held in worlds whose curve is known."""

from __future__ import annotations

import pytest
import torch

from distrust.errors import DataError
from distrust.stopping import back_test, next_gain

BOUGHT = [100, 200, 300, 400, 500, 600]


def curve(numbers: list[int], a: float, b: float, c: float, items: int, seed: int) -> torch.Tensor:
    """Students of a known accuracy, a - b · n^-c: (K, items). Items differ in difficulty, and students in luck."""
    draw = torch.Generator().manual_seed(seed)
    ease = torch.rand(items, generator=draw)
    rows = []
    for number in numbers:
        luck = 0.15 * torch.randn(items, generator=draw)
        rows.append(ease + luck < a - b * number**-c)
    return torch.stack(rows)


def exact(*counts: int, items: int = 10_000) -> torch.Tensor:
    return torch.stack([torch.arange(items) < count for count in counts])


def test_a_clean_curve_is_followed() -> None:
    """.9 - 4 / √n: from 400 to 500 answers, 4 · (1 / 20 - 1 / √500) = 2.11 points."""
    counts = [round(10_000 * (0.9 - 4 / number**0.5)) for number in (100, 200, 300, 400)]
    found = next_gain([100, 200, 300, 400], exact(*counts), 100)
    assert found.value == pytest.approx(0.0211, abs=0.001) and found.low <= 0.0211 <= found.high


def test_two_points_are_a_power_law_of_one_half() -> None:
    rise = 0.5 - 0.4
    wanted = rise * (200**-0.5 - 300**-0.5) / (100**-0.5 - 200**-0.5)
    assert next_gain([100, 200], exact(4000, 5000), 100).value == pytest.approx(wanted, rel=1e-6)


def test_a_level_or_falling_curve_promises_nothing() -> None:
    for counts in ((7000, 7000, 7000), (7000, 6900, 6800)):
        found = next_gain(BOUGHT[:3], exact(*counts), 100)
        assert found.value == pytest.approx(0, abs=1e-9) and found.high < 0.005


def test_longer_blocks_promise_more_and_the_interval_narrows_with_items() -> None:
    small, large = (next_gain(BOUGHT[:4], curve(BOUGHT[:4], 0.9, 3, 0.5, 4000, 0), block) for block in (50, 500))
    assert 0 < small.value < large.value
    few = next_gain(BOUGHT[:4], curve(BOUGHT[:4], 0.9, 3, 0.5, 150, 0), 50)
    assert few.high - few.low > 2 * (small.high - small.low)


def test_forecasts_hold_what_comes_in_worlds_of_known_curves() -> None:
    """Over 30 worlds of three kinds of curve, four forecasts each: 95 % intervals hold in 90 % at least."""
    tested = []
    for world in range(30):
        a, b, c = [(0.9, 3.0, 0.5), (0.8, 1.0, 0.25), (0.85, 40.0, 1.0)][world % 3]
        tested += back_test(BOUGHT, curve(BOUGHT, a, b, c, 500, world), bootstrap=200)
    assert len(tested) == 120 and {one.then - one.bought for one in tested} == {100}
    assert sum(one.held for one in tested) >= 0.9 * len(tested)
    width = sum(one.predicted.high - one.predicted.low for one in tested) / len(tested)
    assert width < 0.12, "an interval that holds everything says nothing"


def test_the_seed_decides_and_the_order_of_items_hardly_matters() -> None:
    right = curve(BOUGHT[:3], 0.9, 3, 0.5, 300, 0)
    first = next_gain(BOUGHT[:3], right, 100)
    assert first == next_gain(BOUGHT[:3], right, 100) != next_gain(BOUGHT[:3], right, 100, seed=1)
    assert first.value == pytest.approx(next_gain(BOUGHT[:3], right.flip(1), 100).value)


@pytest.mark.parametrize(
    ("bought", "shape", "block", "said"),
    [
        ([100], (1, 5), 10, "two numbers or more"),
        ([100, 100], (2, 5), 10, "above 0 and rising"),
        ([0, 100], (2, 5), 10, "above 0 and rising"),
        ([100, 200], (3, 5), 10, r"legal is \(2, items\)"),
        ([100, 200], (2, 0), 10, r"legal is \(2, items\)"),
        ([100, 200], (2, 5), 0, "legal is 1 or more"),
    ],
)
def test_wrong_calls_are_refused(bought, shape, block, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=said):
        next_gain(bought, torch.zeros(shape), block)

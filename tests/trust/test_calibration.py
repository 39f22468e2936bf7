"""Calibration on gold: against scikit-learn and by hand, cross-fitted, and what happens with little gold."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from distrust.errors import DataError
from distrust.trust import calibrated, fit_calibration
from distrust.trust.calibration import Isotonic, Platt

KINDS = ["isotonic", "platt"]


def world(items: int = 3000, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A signal that is too sure: the claim is right with chance .3 + .5 · signal."""
    draw = torch.Generator().manual_seed(seed)
    signal = torch.rand(items, generator=draw)
    return signal, (torch.rand(items, generator=draw) < 0.3 + 0.5 * signal).long()


@pytest.mark.parametrize("kind", KINDS)
def test_chances_come_near_the_truth_and_gold_is_what_makes_them(kind) -> None:  # type: ignore[no-untyped-def]
    signal, right = world()
    shown = torch.where(torch.arange(3000) < 1500, right, -1)
    chance = calibrated(signal, shown, kind)
    assert float((chance - (0.3 + 0.5 * signal)).abs().mean()) < 0.05
    assert float((signal - (0.3 + 0.5 * signal)).abs().mean()) > 0.1


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.integers(-1, 1)), min_size=2, max_size=30))
def test_any_fit_rises_stays_within_its_aims_and_leaves_silence_silent(pairs: list[tuple[float, int]]) -> None:
    signal, right = (torch.tensor(one) for one in zip(*pairs, strict=True))
    for kind in KINDS:
        chance = fit_calibration(signal, right, kind)(torch.tensor([-1.0, 0.0, 0.3, 0.7, 1.0, 2.0, torch.nan]))
        assert bool((chance[1:6] >= chance[:5] - 1e-12).all()) and chance[6].isnan()
        assert bool(((chance[:6] > 0) & (chance[:6] < 1)).all())


def test_isotonic_is_scikit_learns_on_platts_targets() -> None:
    signal, right = world(60)
    hits = int(right.sum())
    aims = torch.where(right == 1, (hits + 1) / (hits + 2), 1 / (60 - hits + 2))
    wanted = IsotonicRegression(out_of_bounds="clip").fit(signal.double(), aims.double()).predict(signal.double())
    found = fit_calibration(signal, right)
    assert isinstance(found, Isotonic) and found(signal).tolist() == pytest.approx(wanted.tolist())


def test_platt_is_the_likeliest_sigmoid() -> None:
    """Its gradient, worked out in a plain loop, is zero."""
    signal, right = world(80)
    found = fit_calibration(signal, right, "platt")
    assert isinstance(found, Platt)
    hits = int(right.sum())
    slope = level = 0.0
    for value, good in zip(signal.tolist(), right.tolist(), strict=True):
        aim = (hits + 1) / (hits + 2) if good else 1 / (80 - hits + 2)
        gap = 1 / (1 + math.exp(-(found.slope * value + found.intercept))) - aim
        slope, level = slope + gap * value, level + gap
    assert abs(slope) < 1e-2 and abs(level) < 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_gold_items_own_label_does_not_tell_its_chance(kind) -> None:  # type: ignore[no-untyped-def]
    """A signal of noise, with a level for each item: fitted on all, isotonic finds the labels; cross-fitted it does not."""
    draw = torch.Generator().manual_seed(1)
    signal = torch.rand(400, generator=draw)
    right = torch.randint(0, 2, (400,), generator=draw)
    chance = calibrated(signal, right, kind)
    own = torch.corrcoef(torch.stack([chance, right.double()]))[0, 1]
    assert float(own.nan_to_num()) < 0.1
    for row in range(5):
        turned = right.clone()
        turned[row] = 1 - turned[row]
        assert abs(float(calibrated(signal, turned, kind)[row] - chance[row])) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_one_class_alone_or_one_level_alone_gives_all_one_chance(kind) -> None:  # type: ignore[no-untyped-def]
    signal = torch.tensor([0.1, 0.5, 0.9, 0.7])
    assert fit_calibration(signal, torch.tensor([1, 1, 1, -1]), kind)(signal).tolist() == pytest.approx([4 / 5] * 4)
    assert fit_calibration(signal, torch.tensor([0, 0, -1, -1]), kind)(signal).tolist() == pytest.approx([1 / 4] * 4)
    assert fit_calibration(torch.full((4,), 0.5), torch.tensor([1, 0, 1, -1]), kind)(signal)[0] == pytest.approx(3 / 5)
    assert fit_calibration(signal, torch.full((4,), -1), kind)(signal).tolist() == [0.5] * 4
    assert calibrated(signal, torch.tensor([1, -1, -1, -1]), kind).tolist() == pytest.approx([0.5, 2 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_that_is_upside_down_is_worth_nothing_and_is_not_turned(kind) -> None:  # type: ignore[no-untyped-def]
    signal, right = world(500)
    chance = fit_calibration(signal, 1 - right, kind)(signal)
    assert float(chance.max() - chance.min()) < (1e-12 if kind == "platt" else 0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_items_order_changes_nothing(kind) -> None:  # type: ignore[no-untyped-def]
    signal, right = world(50)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(calibrated(signal[order], right[order], kind), calibrated(signal, right, kind)[order])


def test_wrong_calls_are_refused() -> None:
    signal, right = world(10)
    with pytest.raises(DataError, match=r"'plat'; did you mean 'platt'\?"):
        fit_calibration(signal, right, "plat")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"legal is \(N,\) twice"):
        fit_calibration(signal, right[:3])
    with pytest.raises(DataError, match="there is none on which it has a say"):
        calibrated(signal, torch.full((10,), -1))
    with pytest.raises(DataError, match="legal is 2 or more"):
        calibrated(signal, right, folds=1)

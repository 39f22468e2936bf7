"""padded-average: the mean of those who spoke, zero at what they do not know, however many classes each has."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch

from distrust.methods.padded_average import PaddedAverage, padded_average
from distrust.recipe import Train
from tests.methods.specialist_worlds import ITEMS, LABELS, NAMES, trained, work

ONCE = Train(num_train_epochs=1)


@pytest.mark.parametrize("parts", [("ab", "cdef"), ("abc", "cba", "fd")])
def test_targets_are_the_mean_of_padded_chances(tmp_path: Path, parts: tuple[str, ...]) -> None:
    with closing(work(tmp_path, *parts, options=ONCE)) as run:
        padded_average(run, PaddedAverage())
        told = run.fits["student"].labelled
    wanted = torch.zeros(len(ITEMS), 6, dtype=torch.float64)
    for part in parts:
        with torch.no_grad():
            said = trained(tuple(part))(ITEMS.inputs).double().softmax(-1)
        for item in range(len(ITEMS)):
            for place, name in enumerate(part):
                wanted[item, NAMES.index(name)] += said[item, place] / len(parts)
    torch.testing.assert_close(told.targets.double(), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(told.extra["weights"], torch.full((len(ITEMS), len(parts)), 1 / len(parts)))


@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_gold_stands_in_its_place_by_its_weight(tmp_path: Path, weight: float) -> None:
    with closing(work(tmp_path, "abc", "def", gold=5, options=ONCE)) as run:
        padded_average(run, PaddedAverage(gold_weight=weight))
        told = run.fits["student"].labelled
    assert told.labels[:5].tolist() == (LABELS[:5].tolist() if weight else [-1] * 5)
    assert told.weight.tolist()[:5] == [weight or 1.0] * 5 and bool((told.targets[:5] == 0).all()) is bool(weight)

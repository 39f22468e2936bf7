"""small-loss: targets between a claim and the scout's own prediction, by how clean the claim's loss looks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from distrust import trust
from distrust.labelled import from_targets
from tests.methods import noisy

NOISY = noisy.corrupted(noisy.LABELS)


def test_targets_are_what_a_loop_makes_of_them(tmp_path: Path) -> None:
    run = noisy.work(tmp_path / "run", NOISY)
    student = noisy.carry(run, "small-loss")
    scout = noisy.fit(tmp_path, "scout", from_targets(noisy.ITEMS, torch.eye(3)[NOISY]), 2)
    said = noisy.chances(scout, noisy.ITEMS)
    loss = [-math.log(row[claim]) for row, claim in zip(said, NOISY.tolist(), strict=True)]
    clean = trust.clean_probability(torch.tensor(loss)).tolist()
    told = run.fits["student"].labelled
    for row, claim in enumerate(NOISY.tolist()):
        by_hand = [clean[row] * (c == claim) + (1 - clean[row]) * said[row][c] for c in range(3)]
        assert told.targets[row].tolist() == pytest.approx(by_hand, abs=1e-5)
    assert min(clean) < 0.1 and max(clean) > 0.9, "this world has both"
    assert noisy.same(student, noisy.fit(tmp_path, "student", told))


def test_gold_is_not_judged_by_its_claim(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, NOISY, gold=9)
    noisy.carry(run, "small-loss", gold_weight=3)
    told = run.fits["student"].labelled
    assert (told.labels >= 0).sum() == 9 and not told.targets[told.labels >= 0].any() and len(told) == 60

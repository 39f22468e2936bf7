"""Scores as values: how they are read as weights, what stands beside what, and who is near whom."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.methods import who_knows
from distrust.methods.specialists import gather
from distrust.methods.who_knows import Scored, beside, nearby, side_by_side
from tests.methods.specialist_worlds import ITEMS, teacher, work
from tests.methods.test_specialists import Claims

SCORES = torch.tensor([[2.0, 0.3, -torch.inf], [1.0, 0.3, -torch.inf], [-torch.inf, 0.1, -torch.inf]])


def test_odds_are_chances_as_they_are_and_other_scores_mix_by_tau() -> None:
    odds, shares = Scored(SCORES, odds=True), Scored(SCORES, odds=False)
    spoke = torch.tensor([2.0, 1.0]).double()
    torch.testing.assert_close(odds.weights(False, 0.2)[:2, 0].double(), spoke.softmax(0))
    torch.testing.assert_close(shares.weights(False, 0.2)[:2, 0].double(), (spoke / 0.2).softmax(0))
    torch.testing.assert_close(shares.weights(True, 0.2)[:, 1], torch.tensor([0.5, 0.5, 0.0]))
    assert bool((odds.weights(False, 0.2)[:, 2] == 0).all())
    torch.testing.assert_close(odds.on_one_scale[:2, 0], odds.weights(False, 1.0)[:2, 0])
    assert odds.on_one_scale[2, 0] == -torch.inf and bool((shares.on_one_scale == SCORES).all())


def test_beside_is_a_product_of_chances_and_silence_stays() -> None:
    seen = torch.tensor([[0.2, 0.5], [0.8, 0.5]]).log()
    odds = torch.tensor([[1.0, -torch.inf], [0.0, 3.0]])
    both = beside(odds, seen)
    expected = torch.tensor([1.0, 0.0]).double().softmax(0) * torch.tensor([0.2, 0.8]).double()
    torch.testing.assert_close(both[:, 0].double().softmax(0), expected / expected.sum())
    assert both[0, 1] == -torch.inf and both[1, 1].isfinite()


def test_what_all_say_is_in_a_row_and_silence_is_nothing(tmp_path: Path) -> None:
    said = side_by_side(gather(work(tmp_path, teachers=[teacher("abc"), Claims("def", [-1, 0] * 120)])))
    assert said.shape == (len(ITEMS), 6) and bool((said[::2, 3:] == 0).all()) and bool((said[1::2, 3:] != 0).any(1).all())


def test_who_is_near_is_looked_for_where_all_keep_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [teacher(part, features={"hidden": "1"}) for part in ("abc", "def")]
    here = gather(work(tmp_path / "a", teachers=kept))
    graph = nearby(here)
    assert graph is not None and graph.shape == (len(ITEMS), len(ITEMS))
    assert nearby(gather(work(tmp_path / "b", teachers=[kept[0], teacher("def")]))) is None
    monkeypatch.setattr(who_knows, "MOST", len(ITEMS) - 1)
    assert nearby(here) is None

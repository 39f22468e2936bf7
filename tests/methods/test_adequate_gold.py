"""Who knows an item, told by gold: each way of knowing has the say that held-out gold gives it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.gold import Gold
from distrust.methods import who_knows
from distrust.methods.adequate import scored
from distrust.methods.adequate_gold import _blended, _shares
from distrust.methods.specialists import gather
from tests.methods.specialist_worlds import ITEMS, LABELS, SPACE, teacher, work

PARTS = ("abc", "def")


def test_shares_are_likelihoods_and_faint_ones_have_no_say() -> None:
    even = torch.full((10,), 0.5)
    shares = _shares({"a": even, "b": even + 0.1, "far": even + 1.0})
    ratio = torch.tensor(1.0).exp().item()  # ten items, a tenth of a nat each
    assert list(shares) == ["a", "b"] and sum(shares.values()) == pytest.approx(1)
    assert shares["a"] / shares["b"] == pytest.approx(ratio)


def test_a_blend_is_of_chances_and_silence_stays_silence() -> None:
    one, two = torch.tensor([[0.0, 2.0], [1.0, -torch.inf]]), torch.tensor([[3.0, 0.0], [0.0, -torch.inf]])
    found = _blended({"one": one, "two": two}, {"one": 0.25, "two": 0.75})
    expected = 0.25 * one.double().softmax(0) + 0.75 * two.double().softmax(0)
    torch.testing.assert_close(found.double().exp(), expected)
    assert found[1, 1] == -torch.inf


def picks(folder: Path, **more: str) -> tuple[float, str]:
    """How often the surest teacher knows an item that is no gold, and what the report says of it."""
    run = work(folder, teachers=[teacher(part, **more) for part in PARTS], gold=Gold(ITEMS.ids[:36], LABELS[:36], SPACE))
    here = gather(run)
    who: Tensor = here.adequate(LABELS)[:, 36:].float()
    known = scored(run, here, "auto", 1, scouts=False)
    return float((known.weights(True, 0.2)[:, 36:] * who).sum(0).mean()), run.notes[0]


def test_gold_spreads_to_what_is_near_where_features_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without, said = picks(tmp_path / "a")
    assert "gold nearby" not in said
    beside, said = picks(tmp_path / "b", features={"hidden": "1"})  # type: ignore[arg-type]
    assert "gold nearby" in said.split(", chosen by gold")[0] and beside > without
    monkeypatch.setattr(who_knows, "MOST", len(ITEMS) - 1)
    assert picks(tmp_path / "c", features={"hidden": "1"}) == (without, picks(tmp_path / "d")[1])  # type: ignore[arg-type]

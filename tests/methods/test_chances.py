"""Which signals become chances: by gold, by agreement of an assistant's samples, or not; and what the report shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.methods.chances import NAMES, Signal, chances
from distrust.trust import two_kinds
from tests.methods.loop_worlds import Watched, opened

NONE = torch.zeros(0)
SHARES = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.8, 0.6, 0.0]).repeat(3)  # (30,) of five samples


@pytest.mark.parametrize(("gold", "kind", "calibrated"), [(20, "platt", True), (19, "platt", False), (20, "none", False)])
def test_twenty_gold_items_make_a_signal_a_chance(tmp_path: Path, gold: int, kind: str, calibrated: bool) -> None:
    draw = torch.Generator().manual_seed(1)
    on_gold = torch.rand(gold, generator=draw)
    right = (torch.rand(gold, generator=draw) < on_gold).long()
    with opened(tmp_path, [Watched("teacher")]) as run:
        signal = Signal(torch.tensor([-0.5, 0.3, 1.5]))
        found, there = chances(run, NAMES["s1"], signal, on_gold, right, kind)
        assert set(run.signals) == ({NAMES["s1"], NAMES["s1"] + ", calibrated"} if calibrated else {NAMES["s1"]})
        assert (found.tolist() != pytest.approx([0, 0.3, 1])) is calibrated
        assert found[0] <= found[1] <= found[2] and there.shape == (gold,)
        assert torch.equal(there, on_gold.double()) is not calibrated
        chances(run, NAMES["s1"], signal, NONE, NONE.long(), kind)
        assert not run.signals, "what was shown of an earlier student is gone"


def test_agreement_makes_chances_without_gold_and_gold_only_judges_them(tmp_path: Path) -> None:
    with opened(tmp_path, [Watched("teacher")]) as run:
        found, there = chances(run, NAMES["s3"], Signal(SHARES, 5), None, NONE.long(), "agreement")
        assert torch.equal(found, two_kinds(SHARES.double(), 5)(SHARES.double(), 5)) and not len(there)
        assert "by agreement:" in run.notes[-1] and not run.signals
        right = (SHARES > 0.5).long()
        again, there = chances(run, NAMES["s3"], Signal(SHARES, 5), SHARES, right, "agreement")
        assert torch.equal(again, found) and torch.equal(there, found), "right or wrong, gold moves no chance"
        assert set(run.signals) == {NAMES["s3"], NAMES["s3"] + ", calibrated"}


@pytest.mark.parametrize(
    ("name", "signal", "note"),
    [
        ("s3", Signal(SHARES, 2), "there were 2, of 30"),
        ("s3", Signal(SHARES, 0), "there were 0, of 30"),
        ("s2", Signal(SHARES[:19], 5), "there were 5, of 19"),
        ("s1", Signal(SHARES, 5), None),
        ("s3", Signal(SHARES, 5, torch.arange(30) < 19), "there were 5, of 19"),
    ],
)
def test_what_tells_no_two_kinds_is_left_as_it_is(tmp_path: Path, name: str, signal: Signal, note: str | None) -> None:
    with opened(tmp_path, [Watched("teacher")]) as run:
        found, _ = chances(run, NAMES[name], signal, None, NONE.long(), "agreement")
        assert torch.equal(found, signal.value.double())
        assert not run.notes if note is None else note in run.notes[-1]


def test_what_was_not_said_is_not_taken_for_contradicted(tmp_path: Path) -> None:
    silent = Signal(torch.cat([SHARES, torch.zeros(40)]), 5, torch.arange(70) < 30)
    with opened(tmp_path, [Watched("teacher")]) as run:
        found, _ = chances(run, NAMES["s2"], silent, None, NONE.long(), "agreement")
        alone, _ = chances(run, NAMES["s2"], Signal(SHARES, 5), None, NONE.long(), "agreement")
    assert torch.equal(found[:30], alone) and not found[30:].any()

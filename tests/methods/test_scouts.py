"""Scouts: asked whose classes the items are in that they have not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.methods.adequate import scored
from distrust.methods.scouts import scouted
from distrust.methods.specialists import gather, told
from tests.methods import noisy
from tests.methods.specialist_worlds import ITEMS, TEST, TEST_LABELS, work
from tests.methods.test_specialists import Claims

PARTS = ("abc", "def")


@pytest.mark.parametrize("gold", [0, 60])
def test_scouts_are_asked_about_what_they_have_not_seen(tmp_path: Path, gold: int) -> None:
    run = work(tmp_path, *PARTS, gold=gold)
    student = noisy.carry(run, "muka", score="auto", target="soft", passes=1, scouts=True)
    assert noisy.accuracy(student, TEST, TEST_LABELS) > 0.7
    halves = [set(run.fits[f"scout-{name}"].labelled.items.ids) for name in "ab"]
    assert not halves[0] & halves[1] and len(halves[0] | halves[1]) == len(ITEMS)
    again = work(tmp_path / "again", *PARTS, gold=gold)
    here = gather(again)
    targets = here.target(scored(again, here, "energy", 1).weights(False, 1.0))
    seen = scouted(again, here, targets)
    training = told(again, here, targets, 1.0)
    other = again.fit(
        "mine", training.select(ITEMS.rows(sorted(halves[0], key=again.fits["scout-a"].labelled.items.ids.index)))
    )
    rows = torch.tensor(ITEMS.rows(sorted(halves[1])))
    mass = again.ask(other, ITEMS.select(rows)).distribution()
    wanted = torch.stack([mass[:, :3].sum(-1), mass[:, 3:].sum(-1)]).clamp(min=1e-6).log()
    torch.testing.assert_close(seen[:, rows], wanted, rtol=1e-4, atol=1e-4)


def test_scouts_and_silence(tmp_path: Path) -> None:
    run = work(tmp_path, teachers=[Claims("abc", [-1] * 40 + [0] * 200), Claims("def", [-1] * 240)])
    noisy.carry(run, "muka", score="auto", scouts=True)
    assert len(run.fits["student"].labelled.told()) == 200

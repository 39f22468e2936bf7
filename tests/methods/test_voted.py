"""What methods of doubt begin with: the vote, and how far somebody agrees with what a pool is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.errors import RunError
from distrust.evidence import Dense, Evidence
from distrust.labelled import from_targets
from distrust.methods.voted import agreed, doubtable, voted
from tests import worlds
from tests.methods import noisy


def test_most_teachers_decide_and_a_tie_is_shared(tmp_path: Path) -> None:
    claims = [torch.full((60,), c) for c in (0, 0, 1)]
    claims[1] = torch.where(torch.arange(60) % 2 == 0, 0, -1)  # on every second item one says 0 and one says 1
    teachers = [noisy.Said(f"t{number}", noisy.ITEMS, said) for number, said in enumerate(claims)]
    pool = voted(noisy.work(tmp_path, teachers=teachers))
    assert pool.targets[0].tolist() == [1.0, 0.0, 0.0] and pool.targets[1].tolist() == [0.5, 0.5, 0.0]


def test_gold_items_are_not_doubted(tmp_path: Path) -> None:
    run = noisy.work(tmp_path, gold=7)
    assert doubtable(run, voted(run)).items.ids == noisy.ITEMS.ids[7:]


def test_agreement_with_what_is_told(tmp_path: Path) -> None:
    run = noisy.work(tmp_path)
    items = noisy.ITEMS.select([0, 1, 2])
    pool = from_targets(items, torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.5, 0, 0.5]]))
    chances = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.1, 0.4]])
    said = Evidence("scout", items.ids, worlds.SPACE, chances.argmax(-1)[None], Dense(chances.log()))
    assert agreed(run, said, pool, "label_likelihood").tolist() == pytest.approx([0.7, 0.3, 0.45])
    assert agreed(run, said, pool, "match").tolist() == [1.0, 0.0, 0.5]
    with pytest.raises(RunError, match="score: token_f1 does not suit classes"):
        agreed(run, said, pool, "token_f1")

"""A trial: what it learns from, and how its students are judged."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import pytest
import torch

from distrust.methods.auto_trial import TEMPERATURES, bench, crossed, tempered
from distrust.methods.believed import heard
from tests.methods.auto_worlds import LABELS, POOL, carried, exchanging, opened


def test_no_held_out_item_is_learned_from(tmp_path: Path) -> None:
    """What a trial's students learned from lies in the stages; the fold's held items are in none of the fold's."""
    with closing(opened(tmp_path, [exchanging()])) as run:
        carried(run)
        small = list(tmp_path.rglob("trial.json"))
        assert len(small) == 4
    pool = {run.pool.ids[row] for row in range(len(run.pool))} - set(run.gold.ids)
    folds = run.gold.folds("choose", 2)
    assert {one for fold in folds for one in fold.held.ids} == set(run.gold.ids)
    with closing(opened(tmp_path / "again", [exchanging()])) as run:
        desk = bench(run, heard(run, "choose"), folds, 40, 0.5)
        assert desk.options.num_train_epochs == 12, "56 steps, as many as the recipe's, in epochs of 5"
        assert set(desk.pool.ids) <= pool and len(desk.pool) == 40


def test_what_a_trial_is_validated_on_is_part_of_its_key(tmp_path: Path) -> None:
    """Other validation items may stop its students elsewhere."""
    keys = set()
    for turn, rows in enumerate((None, range(5), range(5, 9), range(5))):
        given = None if rows is None else (POOL.select(rows), LABELS[list(rows)])
        with closing(opened(tmp_path / str(turn), [exchanging()], validation=given)) as run:
            keys.add(bench(run, heard(run, "choose"), run.gold.folds("choose", 2), 40, 0.5).key)
    assert len(keys) == 3


def test_likelihoods_are_those_of_a_naive_loop_at_the_temperature_of_the_other_folds() -> None:
    chances = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5]], dtype=torch.float64)
    labels = torch.tensor([0, 2, 0, 1])
    found = tempered(chances, labels)
    for row, (chance, label) in enumerate(zip(chances.tolist(), labels.tolist(), strict=True)):
        for column, one in enumerate(TEMPERATURES):
            powers = [max(value, 1e-6) ** (1 / one) for value in chance]
            assert float(found[row, column]) == pytest.approx(math.log(powers[label] / sum(powers)))
    first, second = found[:2], found[2:]
    sharp, soft = int(first.sum(0).argmax()), int(second.sum(0).argmax())
    assert sharp < soft, "sure and right; unsure and wrong"
    assert torch.equal(crossed([first, second]), torch.cat([first[:, soft], second[:, sharp]]))

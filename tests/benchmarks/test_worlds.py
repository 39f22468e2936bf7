"""The worlds of several teachers are what they say, and CA-MKD does in them what its card foretells."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch

from benchmarks._worlds import WORLDS, Split, digits, world
from distrust.gold import Gold
from distrust.methods import find
from distrust.recipe import Train
from distrust.run import Run


def test_teachers_learn_elsewhere() -> None:
    split = digits(3)
    parts = [set(one.ids) for one in (split.taught, split.pool, split.test)]
    assert [len(one) for one in parts] == [600, 500, 697] and len(set.union(*parts)) == 1797
    assert split.test.ids != digits(4).test.ids and split.test.ids == digits(3).test.ids


@pytest.mark.parametrize("kind", WORLDS)
def test_what_teachers_are_told_follows_the_world_and_the_seed(kind: str) -> None:
    truth = torch.arange(3000) % 10
    told = WORLDS[kind](truth, 10, 1)
    right = [one if isinstance(one, int) else float((one == truth).double().mean()) for one in told]
    expected = {
        "all_good": [1, 1, 1],
        "random_noise": [1, 1, 0.4],
        "exchanges": [1, 1, 0.4],
        "two_exchange": [1, 0.4, 0.4],
        "clones": [1, 1, -1, -1, -1],
        "adversary": [1, 1, 0],
        "different_classes": [0.55, 0.55, 0.55],  # of the other half of the classes a tenth is right by luck
    }
    assert right == pytest.approx(expected[kind], abs=0.04)


def accuracy(folder: Path, kind: str, weights: str) -> float:
    """Of a student of the teachers alone, every label a person's."""
    here = world("digits", kind, 0, folder / f"teachers-{kind}")
    split: Split = here.split
    run = Run(
        folder / f"{kind}-{weights}",
        space=split.space,
        pool=split.pool,
        teachers=here.teachers,
        new_student=here.new_student,
        gold=Gold(split.pool.ids, split.truth, split.space),
        options=Train(num_train_epochs=60, per_device_train_batch_size=64),
    )
    method, options = find("ca-mkd", {"weights": weights, "gamma": 0})
    with closing(run):
        student = method.run(run, options)
        return float((run.ask(student, split.test).claims[0] == split.test_labels).double().mean())


@pytest.mark.slow
def test_a_bad_minority_and_a_bad_majority(tmp_path: Path) -> None:
    """Trap 10 of the card: CA-MKD rejects one bad teacher of three; of two it keeps half, which softmin and auto do not."""
    minority = {weights: accuracy(tmp_path, "exchanges", weights) for weights in ("alike", "ca_mkd", "auto")}
    assert minority["ca_mkd"] > minority["alike"] and minority["auto"] > minority["alike"]
    majority = {weights: accuracy(tmp_path, "two_exchange", weights) for weights in ("alike", "ca_mkd", "softmin", "auto")}
    assert majority["softmin"] > majority["ca_mkd"] > majority["alike"] + 0.03
    assert majority["auto"] > majority["ca_mkd"] + 0.01

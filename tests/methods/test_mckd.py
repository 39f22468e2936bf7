"""mckd: who relabels which half, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.errors import RecipeError
from distrust.labelled import from_targets
from distrust.methods import find
from distrust.processes import mix
from tests.methods import noisy

NOISY = noisy.corrupted(noisy.LABELS)
POOL = from_targets(noisy.ITEMS, torch.eye(3)[NOISY])


@pytest.mark.parametrize("stages", [2, 3])
def test_each_half_is_relabelled_by_the_others_student(tmp_path: Path, stages: int) -> None:
    run = noisy.work(tmp_path / "run", NOISY)
    student = noisy.carry(run, "mckd", stages=stages)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(mix(0, 2))).tolist()
    halves, told = (order[:30], order[30:]), POOL
    for stage in range(1, stages):
        labels = told.targets.argmax(-1).tolist()
        for name, own, other in (("a", halves[0], halves[1]), ("b", halves[1], halves[0])):
            learned = run.fits[f"{name}{stage}"].labelled
            assert learned.items.ids == tuple(noisy.ITEMS.ids[row] for row in own)
            one = noisy.fit(tmp_path, f"{name}{stage}", told.select(own))
            said = noisy.claims(one, noisy.ITEMS)
            for row in other:
                labels[row] = said[row]
        told = told.told_as(torch.eye(3)[labels])
    assert noisy.same(student, noisy.fit(tmp_path, "student", told))


def test_other_seeds_halve_otherwise(tmp_path: Path) -> None:
    learned = []
    for seed in (0, 1):
        run = noisy.work(tmp_path / str(seed), NOISY, seed=seed)
        noisy.carry(run, "mckd")
        learned.append(set(run.fits["a1"].labelled.items.ids))
    assert learned[0] != learned[1] and len(learned[0]) == len(learned[1]) == 30


def test_there_are_two_stages_or_three() -> None:
    with pytest.raises(RecipeError, match=r"method\.options\.stages"):
        find("mckd", {"stages": 4})

"""cfl: its loss by hand, parts that learn and are kept, and a student of the union."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from distrust.errors import RunError
from distrust.losses.matching import discrepancy
from distrust.methods.cfl import Common, _apart
from distrust.store import load_tensors
from tests.methods import noisy
from tests.methods.specialist_worlds import TEST, TEST_LABELS, teacher, work

PARTS = ("abc", "def")


def featured() -> list[object]:
    return [teacher(part, features={"hidden": "1"}) for part in PARTS]


def test_the_loss_is_discrepancy_and_reconstruction_over_all_teachers() -> None:
    draw = torch.Generator().manual_seed(0)
    common = Common(4, {"one": 3, "two": 2}, 5, 0)
    own, others = torch.randn(6, 2, 2, generator=draw), [torch.randn(6, size, generator=draw) for size in (3, 2)]
    batch = {"taps.feature": own, "feature.0": others[0], "feature.1": others[1]}
    wanted = torch.zeros(6)
    mine = common.shared(common.student(own.flatten(1)))
    for place, given in enumerate(others):
        theirs = common.shared(common.teachers[place](given))
        wanted += discrepancy(normalize(mine, dim=-1), normalize(theirs, dim=-1))
        wanted += (common.back[place](theirs) - given).square().mean(1) / given.square().mean()
    torch.testing.assert_close(_apart(common, torch.zeros(6, 3), batch), wanted)


def test_a_student_of_the_union_whose_common_space_has_learned(tmp_path: Path) -> None:
    student = noisy.carry(work(tmp_path, teachers=featured()), "cfl", width=8)
    assert noisy.accuracy(student, TEST, TEST_LABELS) > 0.7
    (saved,) = tmp_path.glob("stages/fit-student-*/objective-student.safetensors")
    names = [one.name for one in featured()]  # type: ignore[attr-defined]
    start = Common(32, dict.fromkeys(names, 32), 8, 0).state_dict()
    learned = load_tensors(saved)
    assert all(not torch.equal(learned[f"common.{name}"], value) for name, value in start.items())


def test_without_the_common_space_it_is_concatenated(tmp_path: Path) -> None:
    one = noisy.carry(work(tmp_path / "a", teachers=featured()), "cfl", alpha=0.0)
    other = noisy.carry(work(tmp_path / "b", *PARTS), "concatenated")
    assert noisy.accuracy(one, TEST, TEST_LABELS) == pytest.approx(noisy.accuracy(other, TEST, TEST_LABELS), abs=0.03)


def test_teachers_without_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="knows abc keeps no features"):
        noisy.carry(work(tmp_path, *PARTS), "cfl")

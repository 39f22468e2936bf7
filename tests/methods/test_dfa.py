"""dfa: its loss by hand, a code that is learned by decoding alone, and a student of the union."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrust.errors import RunError
from distrust.methods.dfa import Amalgam, _apart
from tests.methods import noisy
from tests.methods.specialist_worlds import TEST, TEST_LABELS, teacher, work

PARTS = ("abc", "def")


def test_the_loss_is_imitation_of_the_code_and_reconstruction_from_it() -> None:
    draw = torch.Generator().manual_seed(0)
    amalgam = Amalgam(4, {"one": 3, "two": 2}, 0)
    own = torch.randn(6, 2, 2, generator=draw, requires_grad=True)
    others = [torch.randn(6, size, generator=draw) for size in (3, 2)]
    batch = {"taps.feature": own, "feature.0": others[0], "feature.1": others[1]}
    code = (amalgam.into[0](others[0]) + amalgam.into[1](others[1])) / 2
    wanted = (own.flatten(1) - code).square().mean(1) / code.square().mean()
    for back, given in zip(amalgam.back, others, strict=True):
        wanted = wanted + (back(code) - given).square().mean(1) / given.square().mean()
    told = _apart(amalgam, torch.zeros(6, 3), batch)
    torch.testing.assert_close(told, wanted)
    told.sum().backward()
    assert own.grad is not None and bool(own.grad.any())
    alone = Amalgam(4, {"one": 3, "two": 2}, 0)
    _apart(alone, torch.zeros(6, 3), batch | {"taps.feature": own.detach() + 5}).sum().backward()
    for mine, other in zip(amalgam.parameters(), alone.parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad), "the student does not draw the code towards itself"  # type: ignore[arg-type]


def test_a_student_of_the_union(tmp_path: Path) -> None:
    student = noisy.carry(work(tmp_path, teachers=[teacher(part, features={"hidden": "1"}) for part in PARTS]), "dfa")
    assert noisy.accuracy(student, TEST, TEST_LABELS) > 0.7


def test_teachers_without_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="knows abc keeps no features, which dfa learns from"):
        noisy.carry(work(tmp_path, *PARTS), "dfa")

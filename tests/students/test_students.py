"""A student's answers as evidence: asked in eval mode, without gradient, and nothing of the student is changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distrust.labels import LabelSpace
from distrust.students import answer
from distrust.students.module import ModuleStudent
from tests import worlds


def test_answers_are_claims_and_logits_free_of_charge() -> None:
    items, _ = worlds.points(7)
    student = worlds.student(dropout=0.5)
    said = answer(student, items, name="scout")
    by_hand = worlds.network(dropout=0.5).eval()(items.inputs)
    assert said.logits is not None and torch.equal(said.logits.dense(), by_hand)
    assert (said.source, said.ids, said.space) == ("scout", items.ids, worlds.SPACE)
    assert torch.equal(said.claims, by_hand.argmax(-1)[None])
    assert said.cost is not None and not said.cost.money.any() and not said.cost.calls.any()


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_the_batch_size_changes_nothing(size: int) -> None:
    items, _ = worlds.points(7)
    said = [answer(worlds.student(), items, one).logits for one in (size, 7)]
    assert said[0] and said[1]
    torch.testing.assert_close(said[0].dense(), said[1].dense(), rtol=1e-6, atol=1e-7)
    assert answer(worlds.student(), items, size).claims.shape == (1, 7)


def test_no_items_no_answers() -> None:
    said = answer(worlds.student(), worlds.points(3)[0].select([]))
    assert said.claims.shape == (1, 0) and said.logits is not None and said.logits.dense().shape == (0, 3)


def test_every_modules_mode_and_gradient_is_as_before() -> None:
    items, _ = worlds.points(7)
    student = worlds.student(dropout=0.5)
    student.module.train()
    student.module[1].eval()  # somebody has frozen a part
    norm = nn.BatchNorm1d(2)
    student.module.insert(0, norm)  # type: ignore[operator]
    modes = [module.training for module in student.module.modules()]
    said = answer(student, items)
    assert [module.training for module in student.module.modules()] == modes
    assert said.logits is not None and not said.logits.dense().requires_grad
    assert int(norm.num_batches_tracked) == 0, "statistics are not touched"  # type: ignore[arg-type]
    assert all(parameter.requires_grad for parameter in student.module.parameters())


def test_modes_are_restored_when_the_model_fails() -> None:
    class Broken(nn.Linear):
        def forward(self, _: Tensor) -> Tensor:
            raise ValueError("no")

    student = ModuleStudent(nn.Sequential(Broken(2, 2)), LabelSpace(("x", "y")), key="k")
    student.module.train()
    with pytest.raises(ValueError, match="no"):
        answer(student, worlds.points(3)[0])
    assert all(module.training for module in student.module.modules())


def test_half_precision_logits_become_single() -> None:
    class Half(nn.Linear):
        def forward(self, inputs: Tensor) -> Any:
            return super().forward(inputs).half()

    said = answer(ModuleStudent(Half(2, 3), worlds.SPACE, key="h"), worlds.points(3)[0])
    assert said.logits is not None and said.logits.dense().dtype == torch.float32

"""Asking a module: rows back in their places, and each way of being no teacher as a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distrust.errors import DataError, TeacherError
from distrust.teachers.asking import ask_module, call
from tests import worlds

ITEMS, _ = worlds.points(10)
ORDER = [torch.tensor([7, 2, 9, 4]), torch.tensor([0, 1, 3]), torch.tensor([8, 5, 6])]
Answer = Callable[[Tensor], Tensor]


def asked(module: nn.Module, answer: Answer | None = None, **more: Any) -> Any:
    features, heads = more.pop("features", {}), more.pop("heads", {})
    answer = answer or (lambda rows: module(ITEMS.inputs[rows]))
    return ask_module("t", worlds.SPACE, module, answer, ORDER, ITEMS, features, heads, **more)


def test_every_row_comes_back_to_its_place_and_the_module_is_as_before() -> None:
    module = worlds.network(3, dropout=0.5).train()
    module[0].weight.requires_grad_(False)
    said = asked(module, features={"deep": "1"})
    wanted = module.eval()(ITEMS.inputs).detach()
    torch.testing.assert_close(said.logits.dense(), wanted)
    torch.testing.assert_close(said.features["deep"], module[:2](ITEMS.inputs).detach())
    assert said.claims.tolist() == [wanted.argmax(-1).tolist()] and said.ids == ITEMS.ids
    assert [one.requires_grad for one in module.parameters()] == [False, True, True, True]
    assert float(said.cost.money.sum()) == 0
    kept = asked(module, keep_top=2).logits.dense().softmax(-1)
    torch.testing.assert_close(kept.amax(-1), wanted.softmax(-1).amax(-1))


def drawing(rows: Tensor) -> Tensor:
    return torch.randn(len(rows), 3)


def unreadable(rows: Tensor) -> Tensor:
    raise IndexError("token 9\x1b[2J is out of range")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (drawing, "answers the same items differently each time"),
        (unreadable, r"t cannot read these items: token 9\\x1b\[2J is out of range"),
        (lambda rows: torch.zeros(len(rows), 2), r"t gave \(4, 2\) for 4 items; legal are logits \(4, 3\)"),
        (lambda rows: [1.0], "t gave list for 4 items"),
    ],
)
def test_what_is_no_answer_is_a_sentence(answer: Any, words: str) -> None:
    with pytest.raises(TeacherError, match=words):
        asked(worlds.network(), answer)


def test_a_logit_that_is_none_names_its_item() -> None:
    with pytest.raises(DataError, match="non-finite logit for item 'p2'"):
        asked(worlds.network(), lambda rows: torch.where(rows[:, None] == 2, torch.nan, torch.ones(len(rows), 3)))


def test_too_little_memory_names_the_key_that_helps() -> None:
    def full(rows: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TeacherError, match="runs out of memory on 4 items at once; set a smaller batch_size"):
        call("t", full, ORDER[0], 3)


def test_features_and_heads_that_are_none_are_refused() -> None:
    module = worlds.network(3)
    with pytest.raises(TeacherError, match="t does not use its module '1' to answer"):
        asked(module, lambda rows: torch.ones(len(rows), 3), features={"deep": "1"})
    with pytest.raises(TeacherError, match=r"is \(3, 3\) in one batch and \(n, 4\) in another"):
        grown = nn.Sequential(nn.Identity())
        asked(grown, lambda rows: grown(torch.ones(len(rows), len(rows)))[:, :3] * 1.0, features={"wide": "0"})
    with pytest.raises(TeacherError, match="t's head does not make its logits of '1'"):
        asked(module, features={"deep": "1"}, heads={"deep": worlds.network(4)[3]})
    with pytest.raises(TeacherError, match=r"t's head cannot read '1', \(4, 8\)"):
        asked(module, features={"deep": "1"}, heads={"deep": nn.Linear(5, 3)})
    asked(module, features={"deep": "1"}, heads={"deep": nn.Sequential(module[2], module[3])})

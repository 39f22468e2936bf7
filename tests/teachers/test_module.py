"""Any torch module as a teacher: what it answers, and that it stays its caller's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError, TeacherError
from distrust.evidence import Dense
from distrust.labels import LabelSpace
from distrust.teachers import Teacher
from distrust.teachers.module import ModuleTeacher

SPACE = LabelSpace(("spam", "ham", "news"))


def values(teacher: Teacher, items: Items) -> Tensor:
    logits = teacher.ask(items).logits
    assert isinstance(logits, Dense)
    return logits.values


def test_a_head_that_does_not_make_the_logits_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    items = Items(("a", "b"), torch.randn(2, 2, 2))

    def teacher(heads: Any, path: str = "1") -> ModuleTeacher:
        return ModuleTeacher("net", net, SPACE, features={"feature": path}, heads={"feature": heads})

    assert teacher(["2", "3"]).ask(items).features["feature"].shape == (2, 5)
    assert teacher(nn.Sequential(nn.Tanh(), net[3])).ask(items).features["feature"].shape == (2, 5)
    with pytest.raises(TeacherError, match="head does not make its logits of '1'"):
        teacher(["3"]).ask(items)
    with pytest.raises(TeacherError, match=r"head cannot read '3.input', \(2, 5\)"):
        teacher(["1", "2", "3"], "3.input").ask(items)
    with pytest.raises(TeacherError, match="no module '9' for its head"):
        teacher(["9"])
    with pytest.raises(TeacherError, match="none of its features"):
        ModuleTeacher("net", net, SPACE, heads={"feature": ["3"]})


class Noisy(nn.Module):
    """Dropout, batch norm and an odd mode here and there: what a caller may hand over in the middle of training."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.5))
        self.head = nn.Linear(16, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.first(inputs))  # type: ignore[no-any-return]


def tensor_items(count: int = 30) -> Items:
    draw = torch.Generator().manual_seed(3)
    return Items(tuple(map(str, range(count))), torch.randn(count, 6, generator=draw))


def test_a_caller_who_switches_to_training_changes_no_answer() -> None:
    module = Noisy().eval()
    teacher = ModuleTeacher("noisy", module, SPACE)
    expected = values(teacher, tensor_items())
    module.train()
    module.first[1].eval()
    module.head.weight.requires_grad_(False)
    modes = [one.training for one in module.modules()]
    flags = [one.requires_grad for one in module.parameters()]
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answered = values(teacher, tensor_items())
    assert torch.equal(answered, expected)
    assert not answered.requires_grad and not answered.is_inference()
    assert [one.training for one in module.modules()] == modes
    assert [one.requires_grad for one in module.parameters()] == flags
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items()), "batch norm counts nothing"


def test_modes_are_restored_after_a_failure() -> None:
    module = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.5)).train()
    with pytest.raises(TeacherError, match="cannot read these items"):
        ModuleTeacher("m", module, SPACE).ask(Items(("a",), torch.zeros(1, 7)))
    assert all(one.training for one in module.modules())


def test_random_answers_are_refused() -> None:
    class Dreamer(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return nn.functional.dropout(inputs[:, :3] + 1, 0.5)

    with pytest.raises(TeacherError, match="differently each time"):
        ModuleTeacher("dreamer", Dreamer(), SPACE).ask(tensor_items())


@given(size=st.integers(1, 40), order=st.permutations(range(30)))
def test_module_answers_do_not_depend_on_batches(size: int, order: list[int]) -> None:
    torch.manual_seed(0)
    module = Noisy().eval()
    items = tensor_items()
    got = values(ModuleTeacher("noisy", module, SPACE, batch_size=size), items.select(order))
    torch.testing.assert_close(got, module(items.inputs).detach()[order], rtol=1e-5, atol=1e-5)


def test_a_module_may_read_what_its_caller_says() -> None:
    def lengths(items: Items) -> Tensor:
        return torch.tensor([[len(text), 1.0, 0.0] for text in items.inputs])

    items = Items(("a", "b"), ("xx", "yyyy"))
    with pytest.raises(TeacherError, match="give it a `fingerprint`"):
        ModuleTeacher("lengths", nn.Identity(), SPACE, inputs=lengths)
    teacher = ModuleTeacher("lengths", nn.Identity(), SPACE, inputs=lengths, fingerprint="lengths 1")
    assert values(teacher, items).tolist() == [[2, 1, 0], [4, 1, 0]]
    with pytest.raises(DataError, match="items are texts"):
        ModuleTeacher("plain", nn.Identity(), SPACE).ask(items)
    short = ModuleTeacher("short", nn.Identity(), SPACE, inputs=lambda _: torch.zeros(1, 3), fingerprint="x")
    with pytest.raises(DataError, match="2 rows"):
        short.ask(items)


def test_wrong_logits_are_refused() -> None:
    with pytest.raises(TeacherError, match=r"legal are logits \(30, 3\)"):
        ModuleTeacher("wide", nn.Identity(), SPACE).ask(tensor_items())
    spoilt = tensor_items().inputs
    assert isinstance(spoilt, Tensor)
    spoilt[7, 1] = torch.nan
    with pytest.raises(DataError, match="non-finite logit for item '7'"):
        ModuleTeacher("nan", nn.Linear(6, 3), SPACE).ask(Items(tuple(map(str, range(30))), spoilt))


def test_module_fingerprint_follows_its_weights() -> None:
    module = Noisy()
    teacher = ModuleTeacher("noisy", module, SPACE)
    before = teacher.fingerprint
    teacher.ask(tensor_items())
    module.train()
    module.eval()
    assert teacher.fingerprint == before == ModuleTeacher("other", module, SPACE, batch_size=7).fingerprint
    with torch.no_grad():
        module.head.bias += 1e-6
    assert teacher.fingerprint != before
    assert ModuleTeacher("noisy", nn.ReLU(), SPACE).fingerprint != ModuleTeacher("noisy", nn.GELU(), SPACE).fingerprint


def test_unreadable_items_and_unused_features_are_sentences() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.EmbeddingBag(5, 3)
            self.idle = nn.Linear(1, 1)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.embedding(inputs)  # type: ignore[no-any-return]

    items = Items(("a", "b"), torch.tensor([[1, 2], [3, 4]]))
    assert values(ModuleTeacher("tokens", Tokens(), SPACE), items).shape == (2, 3)
    with pytest.raises(TeacherError, match="cannot read these items"):
        ModuleTeacher("tokens", Tokens(), SPACE).ask(Items(("a",), torch.tensor([[9, 1]])))
    with pytest.raises(TeacherError, match="does not use its module 'idle'"):
        ModuleTeacher("tokens", Tokens(), SPACE, features={"none": "idle"}).ask(items)


def test_asking_leaves_the_random_state_alone() -> None:
    def state() -> tuple[object, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())

    module = Noisy().train()
    before = state()
    ModuleTeacher("noisy", module, SPACE).ask(tensor_items())
    assert state() == before

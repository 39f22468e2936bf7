from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError, RunError
from distrust.labels import LabelSpace
from distrust.students import Student
from distrust.students.module import ModuleStudent, load

SPACE = LabelSpace(("even", "odd"))


class Tied(nn.Module):
    """Two layers that share one weight, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.norm(self.second(self.first(inputs).relu())))  # type: ignore[no-any-return]


def items(count: int = 12) -> Items:
    return Items(tuple(map(str, range(count))), torch.randn(count, 4, generator=torch.Generator().manual_seed(0)))


def logits(student: Student, some: Items) -> Tensor:
    student.module.eval()
    with torch.no_grad():
        return student.logits(student.encode(some).batch(torch.arange(len(some))))


def test_it_trains_saves_and_loads_with_shared_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    student = ModuleStudent(Tied(), SPACE)
    encoded = student.encode(items())
    assert len(encoded) == 12
    student.module.train()
    torch.nn.functional.cross_entropy(student.logits(encoded.batch(torch.arange(12))), torch.arange(12) % 2).backward()
    torch.optim.SGD(student.module.parameters(), lr=0.1).step()
    expected = logits(student, items())
    student.save(tmp_path / "student")
    assert "head.weight" in load_file(tmp_path / "student" / "model.safetensors")
    again = load(tmp_path / "student", Tied())
    assert torch.equal(logits(again, items()), expected)
    assert isinstance(again.module, Tied) and again.module.first.weight is again.module.second.weight
    assert (again.space, again.key) == (SPACE, student.key)


def test_rows_are_cut_in_the_order_asked() -> None:
    student = ModuleStudent(nn.Identity(), SPACE)
    values = items().inputs
    assert isinstance(values, Tensor)
    assert torch.equal(student.logits(student.encode(items()).batch(torch.tensor([5, 1]))), values[[5, 1]])


def test_its_key_is_its_start() -> None:
    module = Tied()
    key = ModuleStudent(module, SPACE).key
    assert ModuleStudent(module, SPACE).key == key
    assert ModuleStudent(module, LabelSpace(("a", "b"))).key != key != ModuleStudent(Tied(), SPACE).key
    assert ModuleStudent(module, SPACE, key="mine").key == ModuleStudent(Tied(), SPACE, key="mine").key != key


def test_it_may_read_what_its_caller_says() -> None:
    words = Items(("a", "b"), ("xx", "yyyy"))
    with pytest.raises(DataError, match="items are texts"):
        ModuleStudent(nn.Identity(), SPACE).encode(words)
    with pytest.raises(DataError, match="needs a `key`"):
        ModuleStudent(nn.Identity(), SPACE, inputs=lambda some: torch.zeros(len(some), 2))
    student = ModuleStudent(nn.Identity(), SPACE, "k", inputs=lambda some: torch.ones(len(some), 2))
    assert logits(student, words).tolist() == [[1, 1], [1, 1]]


def test_wrong_folders_and_modules_are_refused(tmp_path: Path) -> None:
    ModuleStudent(Tied(), SPACE).save(tmp_path / "student")
    with pytest.raises(DataError, match="do not fit this Linear"):
        load(tmp_path / "student", nn.Linear(4, 2))
    with pytest.raises(DataError, match=r"holds no student\.json"):
        load(tmp_path, Tied())
    about = tmp_path / "student" / "student.json"
    about.write_text(about.read_text().replace('"module"', '"ngram"'))
    with pytest.raises(DataError, match="kind 'ngram', not 'module'"):
        load(tmp_path / "student", Tied())
    about.write_text("{")
    with pytest.raises(RunError, match="damaged"):
        load(tmp_path / "student", Tied())

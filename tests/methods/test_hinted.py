"""Where features meet: the student's path and size, whose hints there are, and heads in the task's order of classes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch

from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.labels import LabelSpace
from distrust.methods.hinted import Hinted, hints, student_feature
from distrust.methods.several import lesson
from distrust.run import Run
from distrust.students.module import ModuleStudent
from distrust.teachers.module import ModuleTeacher
from tests import worlds
from tests.runs import make

FEATURES = {"feature": "3.input"}


def keeping(name: str, seed: int, space: LabelSpace = worlds.SPACE, heads: bool = True) -> ModuleTeacher:
    return ModuleTeacher(name, worlds.network(seed), space, features=FEATURES, heads={"feature": ["3"]} if heads else None)


def given(run: Run, heads: bool = True, **options: object) -> object:
    asked = Hinted.model_validate({"feature": "3.input", **options})
    return hints(run, lesson(run, asked), asked, heads)


def test_the_students_feature_is_found_with_its_size(tmp_path: Path) -> None:
    with closing(make(tmp_path)) as run:
        assert student_feature(run, "3.input") == ("3.input", (8,)) == student_feature(run, "auto")
        assert student_feature(run, "3") == ("3", (3,))
        with pytest.raises(RunError, match="The student has no module '33' to take features from; did you mean '3'"):
            student_feature(run, "33")


class Idle(torch.nn.Module):
    """A module that its own forward passes by, and logits that no layer makes."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = torch.nn.Linear(4, 2)
        self.scale = torch.nn.Parameter(torch.ones(2, 3))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.scale


def test_a_path_that_is_passed_by_and_logits_of_no_layer_are_refused(tmp_path: Path) -> None:
    with closing(make(tmp_path, new_student=lambda seed: ModuleStudent(Idle(), worlds.SPACE))) as run:
        with pytest.raises(RunError, match="does not use its module 'idle' to answer"):
            student_feature(run, "idle")
        with pytest.raises(RunError, match="no single layer that makes its logits"):
            student_feature(run, "auto")


def test_hints_are_of_those_who_keep_a_feature(tmp_path: Path) -> None:
    bare = ModuleTeacher("bare", worlds.network(3), worlds.SPACE)
    with closing(make(tmp_path, teachers=[bare, keeping("a", 1), keeping("b", 2)])) as run:
        places, made, path = given(run)  # type: ignore[misc]
        assert places == [1, 2] and path == "3.input" and made is not None
        assert given(run, feature=None) == given(run, beta=0) == ([], None, "")


def test_a_head_speaks_in_the_tasks_order_of_classes(tmp_path: Path) -> None:
    turned = LabelSpace(("c", "a", "b"))
    with closing(make(tmp_path, teachers=[keeping("turned", 1, turned)])) as run:
        asked = Hinted(feature="3.input")
        here = lesson(run, asked)
        _, made, _ = hints(run, here, asked, True)
        feature = torch.as_tensor(here.evidence[0].features["feature"][:5])
        module = run.teachers[0].ask(run.pool.select(range(5))).logits.dense()  # type: ignore[union-attr]
        torch.testing.assert_close(made.heads["0"](feature), module[:, [1, 2, 0]])


def test_what_hints_lack_is_a_sentence(tmp_path: Path) -> None:
    with (
        closing(make(tmp_path / "a", teachers=[keeping("headless", 1, heads=False)])) as run,
        pytest.raises(RunError, match="headless has a feature and no head that makes its logits of it"),
    ):
        given(run)
    with closing(make(tmp_path / "b")) as run, pytest.raises(RunError, match="none of them keeps one; give a `feature`"):
        given(run)

    class Half(ModuleTeacher):
        keeps_answers = True

        def ask(self, items: object) -> Evidence:
            return super().ask(items).select(range(3))  # type: ignore[arg-type]

    half = Half("half", worlds.network(1), worlds.SPACE, features=FEATURES)
    with (
        closing(make(tmp_path / "c", teachers=[half])) as run,
        pytest.raises(RunError, match="half was asked about 3 of 40 items; hints need a feature of all"),
    ):
        given(run, heads=False)

"""What sources say in a run: each asked once about an item, and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distrust.data import Items
from distrust.errors import RunError, TeacherError
from distrust.evidence import Evidence
from distrust.recipe import Recorded
from distrust.teachers.module import ModuleTeacher
from distrust.teachers.recorded import RecordedTeacher
from tests import worlds
from tests.runs import make


def test_a_teacher_is_asked_once_even_by_another_process(tmp_path: Path) -> None:
    asked = []

    class Counting(ModuleTeacher):
        def ask(self, items: object) -> Evidence:
            asked.append(1)
            return super().ask(items)  # type: ignore[arg-type]

    first = make(tmp_path, teachers=[Counting("teacher", worlds.network(7), worlds.SPACE)])
    evidence = first.evidence()[0]
    first.close()
    second = make(tmp_path, teachers=[Counting("teacher", worlds.network(7), worlds.SPACE)])
    assert torch.equal(second.evidence()[0].logits.dense(), evidence.logits.dense())  # type: ignore[union-attr]
    assert len(asked) == 1
    second.close()
    changed = make(tmp_path, teachers=[Counting("teacher", worlds.network(8), worlds.SPACE)])
    with pytest.raises(TeacherError, match=r"The teacher teacher is not the one .* Give it another name"):
        changed.evidence()
    renamed = Counting("retrained", worlds.network(8), worlds.SPACE)
    assert not torch.equal(changed.ask(renamed, changed.pool).logits.dense(), evidence.logits.dense())  # type: ignore[union-attr]
    assert len(asked) == 2


def test_runs_may_share_what_their_teachers_said(tmp_path: Path) -> None:
    asked = []

    class Counting(ModuleTeacher):
        def ask(self, items: Items) -> Evidence:
            asked.append(len(items))
            return super().ask(items)

    teacher = Counting("teacher", worlds.network(7), worlds.SPACE)
    one = make(tmp_path / "one", teachers=[teacher], evidence=tmp_path / "said")
    other = make(tmp_path / "other", teachers=[teacher], evidence=tmp_path / "said", seed=1)
    assert torch.equal(one.stacked().probabilities, other.stacked().probabilities)
    assert asked == [40]
    assert not (tmp_path / "one" / "evidence").exists()


def test_what_a_teacher_said_in_parts_is_heard_as_one(tmp_path: Path) -> None:
    run = make(tmp_path)
    teacher = run.teachers[0]
    assert run.heard() == [] and run.assisted() == []
    first, last = run.ask(teacher, run.pool.select(range(5))), run.ask(teacher, run.pool.select(range(3, 9)))
    (said,) = run.heard()
    assert said.ids == run.pool.ids[:9] and said.claims[0].tolist() == [
        *first.claims[0].tolist(),
        *last.claims[0, 2:].tolist(),
    ]
    assert run.assisted() == [], "nobody assists here"


@pytest.mark.parametrize("first", [range(6), range(4, 8), range(5)])
def test_notes_of_overlapping_sets_count_an_item_once(tmp_path: Path, first: range) -> None:
    items, _ = worlds.points(10)
    pool = replace(items, columns={"said": ["a", "eggs", "b", None, "ham", "eggs", "c", "a", None, "b"]})
    teacher = RecordedTeacher(Recorded(kind="recorded", name="past", column="said"), worlds.SPACE, pool)
    run = make(tmp_path, pool=pool, teachers=[teacher], gold=None)
    for rows in (first, range(3, 8), range(10), range(2, 5)):
        said = run.ask(teacher, pool.select(rows))
        assert said.ids == pool.select(rows).ids, "an answer is of all that was asked"
    (heard,) = run.heard()
    assert set(heard.ids) == set(pool.ids) and heard.notes == {"no answer": 2, "outside the label space": 3}


def test_passes_want_a_model_with_dropout_at_hand(tmp_path: Path) -> None:
    class Bare:
        name, fingerprint, space, keeps_answers = "bare", "x", worlds.SPACE, True

        def ask(self, items: Items) -> Evidence:
            raise AssertionError("nobody asks")

    with pytest.raises(RunError, match="bare is no local model, so it has no dropout passes"):
        make(tmp_path).passes(Bare(), tmp_path, 3)  # type: ignore[arg-type]

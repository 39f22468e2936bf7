"""A paid teacher's answers bought once: said again by id, priced as they were, and never more than was bought."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distrust.data import Items
from distrust.errors import RunError
from distrust.evidence import Evidence, join
from distrust.labels import LabelSpace
from distrust.report.facts import Spending
from distrust.teachers.kept import KeptTeacher, keep

SAID = Evidence("a/b", ("1", "2", "3"), LabelSpace(("x", "y")), torch.tensor([[0, -1, 1]]), texts=[["x"], [], ["Y!"]])
SPENT = Spending("a/b", 3, 10, 2, None, failed=1, ended="budget.calls")


def test_it_says_what_it_said_of_whom_it_was_asked(tmp_path: Path) -> None:
    keep(tmp_path, SAID, "print", SPENT)
    keep(tmp_path, Evidence("a_b", ("1",), SAID.space, torch.tensor([[1]])), "other", Spending("a_b", 1, 1, 1, 0.5))
    one = KeptTeacher(tmp_path, "a/b")
    assert (one.fingerprint, one.spending(), one.space, one.keeps_answers) == ("print", SPENT, SAID.space, True)
    said = one.ask(Items(("3", "new", "1"), ("c", "d", "a")))
    assert said.ids == ("3", "1") and said.claims.tolist() == [[1, 0]] and said.texts == [["Y!"], ["x"]]
    assert KeptTeacher(tmp_path, "a_b").spending().money == 0.5, "names that make like folders stay apart"


def test_parts_together_count_what_was_noted_once(tmp_path: Path) -> None:
    noted = {"could not parse": 1, "failed": 2}
    keep(tmp_path, replace(SAID, notes=noted), "print", SPENT)
    one = KeptTeacher(tmp_path, "a/b")
    parts = [one.ask(Items(ids, ids)) for ids in (("2",), ("1", "new"), ("3",))]
    assert join(parts).notes == noted == one.ask(Items(("1", "2", "3"), ("a", "b", "c"))).notes


def test_who_was_never_kept_is_refused(tmp_path: Path) -> None:
    keep(tmp_path, SAID, "print", SPENT)
    with pytest.raises(RunError, match="keeps nothing that a teacher 'nobody' said"):
        KeptTeacher(tmp_path, "nobody")


def test_notes_are_not_lost_with_the_first_item_that_was_kept(tmp_path: Path) -> None:
    keep(tmp_path, replace(SAID, notes={"failed": 1}), "print", SPENT)
    assert KeptTeacher(tmp_path, "a/b").ask(Items(("2", "3"), ("b", "c"))).notes == {"failed": 1}

"""docs/adding_a_method.md does what it says: its method is added, and is what every method must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from distrust.errors import RecipeError
from distrust.methods import METHODS, find
from tests.methods import test_conformance as conformance
from tests.methods import test_conformance_one_teacher as one_teacher
from tests.test_docs import blocks, run_python

PAGE, NAME = "adding_a_method.md", "agreed"


@pytest.fixture(scope="module", autouse=True)
def _added() -> Iterator[None]:
    """The page's Python, all of it; afterwards the method is gone again."""
    state = torch.random.get_rng_state()
    try:
        run_python(PAGE)
        yield
    finally:
        METHODS.pop(NAME, None)
        one_teacher.ONE_TEACHER.pop(NAME, None)
        torch.random.set_rng_state(state)


def test_it_is_some_thirty_lines() -> None:
    code = [line for line in "".join(blocks(PAGE, "python")[:2]).splitlines() if line.strip()]
    assert len(code) <= 32


def test_its_options_are_checked() -> None:
    assert find(NAME, {"least": 0.7})[0].about == "learn from the items on which the teachers agree"
    with pytest.raises(RecipeError, match="did you mean 'least'"):
        find(NAME, {"leest": 0.7})


def test_it_conforms(tmp_path: Path) -> None:
    conformance.test_it_is_repeatable_durable_and_leaves_everything_as_it_was(NAME, tmp_path / "repeated")
    conformance.test_stopped_anywhere_it_goes_on_and_ends_alike(NAME, tmp_path / "stopped")
    conformance.test_the_order_of_teachers_changes_nothing(NAME, tmp_path / "order")
    conformance.test_its_report_is_complete(NAME, tmp_path / "report")
    conformance.test_gold_alone_or_no_gold_ends_in_a_student_or_in_a_sentence(NAME, tmp_path / "bare")
    one_teacher.test_one_teacher_is_plain_distillation_or_the_table_says_why_not(NAME, tmp_path / "one")

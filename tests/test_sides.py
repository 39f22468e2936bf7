"""Who is in a loop: how often each side moves, by whose rate, and that a side that only speaks has nothing to move."""

from __future__ import annotations

import pytest
from torch import nn

from distrust.objective import Objective
from distrust.recipe import Train
from distrust.sides import Side
from tests import worlds


def side(every: int = 1, name: str = "student", **options: float) -> Side:
    return Side(worlds.student(), Objective({}, nn.ModuleDict({"more": nn.Linear(2, 2)})), Train(**options), name, every)


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2, 3, 4, 5]), (3, [0, 3]), (0, [])])
def test_it_moves_on_every_nth_step(every: int, steps: list[int]) -> None:
    assert [step for step in range(6) if side(every).moves(step)] == steps


def test_the_objectives_modules_learn_with_the_student_at_the_recipes_rate_or_its_own() -> None:
    for given, rate in ((0.25, 0.25), (None, worlds.student().default_learning_rate)):
        one = side(learning_rate=given) if given else side()
        one.begin()
        held = {id(parameter) for parameter in one.optimiser.parameters}
        wanted = [*one.student.module.parameters(), *one.objective.modules.parameters()]
        assert held == {id(parameter) for parameter in wanted}
        assert one.optimiser.learning_rate == rate


def test_who_only_speaks_has_no_optimiser_and_names_tell_random_numbers_apart() -> None:
    silent = side(0)
    silent.begin()
    assert not hasattr(silent, "optimiser")
    assert side(name="a").salt == side(name="a").salt != side(name="b").salt

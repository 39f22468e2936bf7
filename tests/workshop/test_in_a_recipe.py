"""`wrong` in a recipe: the run's teacher says other things, its report says so, and a comparison grids over how wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrust.build import as_they_are, opened
from distrust.comparison.cells import cells
from distrust.errors import RecipeError
from distrust.finish import carry_out
from distrust.recipe_file import load_recipe, parse_recipe
from distrust.report.metrics import metrics
from tests import worlds

TEACHER = {"kind": "recorded", "name": "teacher", "column": "teacher"}


def wrong(folder: Path, **parameters: Any) -> Path:
    return worlds.recipe(
        folder,
        teachers=[TEACHER | {"wrong": parameters}],
        method={"name": "gold-only"},
        compare={"methods": [{"name": "distill"}], "seeds": 1, "grid": {"teachers.0.wrong.rate": [0.0, 0.5]}},
    )


def test_a_recorded_teacher_is_made_wrong_and_the_page_says_so(tmp_path: Path) -> None:
    recipe = load_recipe(wrong(tmp_path, kind="adversary"))
    with opened(as_they_are(recipe)) as (run, _):
        before = run.evidence()[0]
    with opened(recipe) as (run, task):
        said = run.evidence()[0]
        assert not bool((said.claims == before.claims).any()) and said.source == "teacher" and said.texts is None
        facts, _ = carry_out(run, task, recipe)
        assert facts.spending[0].teacher == "teacher"
    assert ["adversary" in one for one in metrics(facts)["simulated"]] == [True]


def test_a_comparison_grids_over_how_wrong(tmp_path: Path) -> None:
    found = cells(load_recipe(wrong(tmp_path, kind="symmetric", rate=0.3)))
    assert [one.recipe.teachers[0].wrong.rate for one in found] == [0.0, 0.5]  # type: ignore[union-attr]
    assert len({one.key for one in found}) == 2 and len({str(as_they_are(one.recipe).teachers) for one in found}) == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"kind": "symetric"}, "symmetric"),
        ({"kind": "symmetric", "rates": 0.5}, "did you mean 'rate'"),
        ({"kind": "stale", "merged": {"a": "b", "b": "c"}}, "was there before"),
    ],
)
def test_mistakes_are_refused_by_name(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe({"data": {"pool": {"path": "x.csv"}}, "teachers": [TEACHER | {"wrong": parameters}]})
    assert words in str(refused.value)


def test_open_answers_have_no_classes_to_be_wrong_about() -> None:
    raw = {"data": {"pool": {"path": "x.csv"}}, "task": "generation", "student": {"kind": "causal", "config": {}}}
    with pytest.raises(RecipeError, match="`wrong` of the teacher teacher is pairwise, which is for classes"):
        parse_recipe(raw | {"teachers": [TEACHER | {"wrong": {"kind": "pairwise"}}]})

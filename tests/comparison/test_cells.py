"""What a comparison consists of: every combination once, each a recipe of its own, and refusals in one sentence."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from distrust.comparison.cells import cells, chosen
from distrust.comparison.figures import compared
from distrust.errors import RecipeError
from distrust.recipe import Recipe
from distrust.recipe_file import load_recipe, parse_recipe
from distrust.report.comparison import render


def recipe(**more: Any) -> Recipe:
    raw = {
        "data": {"pool": {"path": "pool.csv", "label": "label"}, "test": {"path": "test.csv", "label": "label"}},
        "gold": {"size": 10},
        "teachers": [{"kind": "recorded", "name": "teacher"}],
        "method": {"name": "distill", "options": {"targets": "hard"}},
        "seed": 4,
        "output_dir": "runs/mine",
    }
    return parse_recipe(raw | more)


def test_every_method_setting_and_seed_is_one_cell_with_a_folder_of_its_own() -> None:
    methods = [{"name": "distill"}, {"name": "distill", "called": "by trust", "options": {"trust": "confusions"}}]
    grid = {"gold.size": [10, 20], "method.options.gold_weight": [1, 5]}
    found = cells(recipe(compare={"methods": methods, "seeds": 3, "grid": grid}))
    assert len(found) == 2 * 4 * 3 and len({cell.folder for cell in found}) == 24
    assert [cell.seed for cell in found] == [4] * 8 + [5] * 8 + [6] * 8, "seed by seed"
    last = found[-1]
    assert (last.method, last.setting) == ("by trust", "gold.size=20, method.options.gold_weight=5")
    assert last.recipe.gold is not None and last.recipe.gold.size == 20 and last.recipe.seed == 6
    assert last.recipe.method.options == {"targets": "hard", "trust": "confusions", "gold_weight": 5}
    assert last.recipe.compare is None and str(last.folder).startswith("runs/mine/cells/")


def test_the_recipes_own_options_belong_to_its_own_method() -> None:
    first, second = cells(chosen(recipe(), ["distill", "gold-only"], 1))
    assert first.recipe.method.options == {"targets": "hard"} and second.recipe.method.options == {}


def test_a_key_changes_with_what_is_learned_and_not_with_the_place() -> None:
    one, other = (cells(chosen(recipe(output_dir=place), ["distill", "selective"], 1))[0] for place in ("runs/a", "runs/b"))
    assert one.key == other.key and one.folder != other.folder
    assert cells(chosen(recipe(train={"num_train_epochs": 3}), ["distill", "selective"], 1))[0].key != one.key


def test_names_that_look_alike_as_files_stay_apart() -> None:
    methods = [{"name": "distill", "called": "a/b"}, {"name": "distill", "called": "a b", "options": {"targets": "soft"}}]
    assert len({cell.folder for cell in cells(recipe(compare={"methods": methods, "seeds": 1}))}) == 2


@pytest.mark.parametrize("block", [None, {"methods": [{"name": "elr"}], "seeds": [7, 9], "grid": {"gold.size": [10, 20]}}])
@pytest.mark.parametrize(("methods", "seeds"), [(["distill", "gold-only"], 2), (["distill", "gold-only"], None)])
def test_the_recipe_on_the_page_plans_the_same_cells(
    block: dict[str, Any] | None, methods: list[str], seeds: int | None, tmp_path: Path
) -> None:
    given = recipe(threads=1) if block is None else recipe(compare=block)
    asked = chosen(given, methods, seeds)
    known = {**compared([], {}, {"": {}}), "distrust": "0", "title": "t", "recipe": asked.model_dump(mode="json")}
    code = re.findall(r"<pre><code>(.*?)</code></pre>", render(known), re.DOTALL)[-1]
    (tmp_path / "recipe.yaml").write_text(unescape(code))
    planned, again = cells(asked), cells(load_recipe(tmp_path / "recipe.yaml"))
    assert [(one.shown, one.key, one.folder) for one in planned] == [(one.shown, one.key, one.folder) for one in again]
    assert {one.method for one in again} == set(methods) and again[0].recipe.method.options == {"targets": "hard"}


@pytest.mark.parametrize(
    ("block", "methods", "seeds", "sentence"),
    [
        (None, [], None, "takes two methods or more"),
        (None, ["distill"], None, "takes two methods or more"),
        (None, ["distill", "distill"], None, "Two methods of the comparison are called 'distill'"),
        (None, ["distill", "selektive"], None, "did you mean 'selective'"),
        ({"seeds": []}, ["distill", "selective"], None, "seeds are"),
        ({"seeds": [1, 1]}, ["distill", "selective"], None, "without repetition"),
        ({"seeds": 0}, ["distill", "selective"], None, "a number above 0"),
        ({"seeds": 10**13}, ["distill", "selective"], None, "1000 are the most"),
        ({"grid": {"gold.sise": [1]}}, ["distill", "selective"], None, "did you mean 'size'"),
        ({"grid": {"gold.size": [-1]}}, ["distill", "selective"], None, "gold.size"),
        ({"grid": {"teachers.3.column": ["x"]}}, ["distill", "selective"], None, "'3' is no position"),
        ({"grid": {"method.options.keap": [1]}}, ["distill", "selective"], None, "method.options"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    block: dict[str, Any] | None, methods: list[str], seeds: int | None, sentence: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        cells(chosen(recipe() if block is None else recipe(compare=block), methods, seeds))
    assert sentence in str(caught.value), str(caught.value)

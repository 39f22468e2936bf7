"""Which method, or which beside each other: the shape of it, before anybody knows what methods there are."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.recipe_file import parse_recipe
from tests.recipe.raw import recipe, refusal


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (recipe(method="distill"), "The recipe's method: must hold keys, each with a value."),
        (recipe(method={"nam": "x"}), "The recipe has an unknown key 'method.nam'; did you mean 'name'?"),
        (recipe(method={"options": ["trust"]}), "The recipe's method.options: must hold keys, each with a value."),
        (recipe(compare={"methods": ["distill"]}), "The recipe's compare.methods.0: must hold keys, each with a value."),
        (recipe(compare={"methods": [{"call": "x"}]}), "'compare.methods.0.call'; did you mean 'called'?"),
        (recipe(compare={"methods": [{"called": ""}]}), "compare.methods.0.called: string should have at least 1"),
        (recipe(compare={"seeds": ["one"]}), "must be a whole number"),
        (recipe(compare={"seeds": True}), "`seeds` is a number, and true is none"),
        (recipe(compare={"grid": {"gold.size": 25}}), "The recipe's compare.grid.gold.size: must be a list."),
        (recipe(compare={"grid": {"gold.size": []}}), "compare.grid.gold.size: list should have at least 1 item"),
        (recipe(compare={"grid": ["gold.size"]}), "The recipe's compare.grid: must hold keys, each with a value."),
    ],
)
def test_another_shape_is_refused(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(raw)


def test_options_and_values_of_a_grid_are_kept_as_they_are() -> None:
    """Nobody here knows what they mean: neither text that looks like a number nor nothing may turn into something else."""
    odd: list[Any] = ["1", 1, 1.5, None, False, {"a": ["b"]}]
    compare = parse_recipe(
        recipe(compare={"methods": [{"options": {"x": odd}}], "grid": {"x.y": odd}, "seeds": [3, 1]})
    ).compare
    assert compare is not None and compare.seeds == [3, 1]
    assert (
        [repr(one) for one in compare.grid["x.y"]]
        == [repr(one) for one in odd]
        == [repr(one) for one in compare.methods[0].options["x"]]
    )

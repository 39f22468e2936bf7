"""What holds in every part of a recipe: no unknown key, no nan or infinity, and no word where a number belongs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from distrust.methods.ta_in_the_loop import TaInTheLoop
from distrust.recipe import Recipe, Strict
from distrust.recipe_file import parse_recipe
from tests.recipe.raw import LLM, recipe, refusal


def parts(model: type[Strict] = Recipe) -> Iterator[type[Strict]]:
    """A part and all that can stand inside it."""
    yield model
    for field in model.model_fields.values():
        yield from (one for inside in models(field.annotation) for one in parts(inside))


def models(annotation: Any) -> list[type[Strict]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [one for part in get_args(annotation) for one in models(part)]


def numbers(model: type[Strict]) -> list[str]:
    """Keys that hold one number, or none."""
    fields = {name: {field.annotation, *get_args(field.annotation)} for name, field in model.model_fields.items()}
    return [name for name, kinds in fields.items() if kinds & {int, float}]


PARTS = list(dict.fromkeys(parts()))


def complaints(model: type[Strict], raw: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(raw)
    return str(caught.value)


@pytest.mark.parametrize("model", PARTS, ids=lambda model: model.__name__)
def test_every_part_takes_numbers_for_numbers_and_no_unknown_key(model: type[Strict]) -> None:
    assert "nobody_has_this" in complaints(model, {"nobody_has_this": 1})
    for name in numbers(model):
        for word in (True, False):
            assert f"`{name}` is a number, and {str(word).lower()} is none" in complaints(model, {name: word})
        for odd in (float("nan"), float("inf")):
            assert f"\n{name}\n" in complaints(model, {name: odd}) or f"\n{name}." in complaints(model, {name: odd})


def test_that_walk_met_what_it_should() -> None:
    found = {model.__name__: numbers(model) for model in PARTS}
    assert {"Recipe", "Price", "Budget", "Train", "Stale", "Contender", "CausalAssistant", "NgramStudent"} <= found.keys()
    assert "per_call" in found["Price"] and "seeds" in found["Compare"] and "learning_rate" in found["Train"]


def test_a_price_that_is_no_is_not_free() -> None:
    said = refusal(recipe(teachers=[LLM | {"price": {"per_call": False}}]))
    assert said == "The recipe's teachers.0.price: `per_call` is a number, and false is none; leave it out for the default."


@pytest.mark.parametrize(
    ("raw", "key", "what"),
    [
        ({"compare": {"seeds": [0, True]}}, "seeds", "made of numbers"),
        ({"gold": {"reserve": {"prompt": True}}}, "reserve", "made of numbers"),
        ({"teachers": [LLM | {"wrong": {"kind": "symmetric", "rate": True}}]}, "rate", "a number"),
    ],
)
def test_a_word_is_no_number_in_lists_and_tables_either(raw: dict[str, Any], key: str, what: str) -> None:
    assert f"`{key}` is {what}, and true is none" in refusal(recipe(**raw))


def test_a_word_is_no_number_where_two_kinds_of_it_are_legal() -> None:
    assert "`budget` is a number, and true is none" in complaints(TaInTheLoop, {"budget": True})


def test_a_word_stays_one_where_words_are_meant() -> None:
    assert parse_recipe(recipe(train={"bf16": True})).train.bf16 is True
    assert parse_recipe(recipe(method={"options": {"gold": False}})).method.options == {"gold": False}


@pytest.mark.parametrize("seed", [-(2**63), 2**63 - 1])
def test_any_seed_that_torch_takes(seed: int) -> None:
    import torch

    assert parse_recipe(recipe(seed=seed)).seed == seed
    torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", [-(2**63) - 1, 2**63, 10**30])
def test_a_seed_that_torch_refuses_is_refused_before(seed: int) -> None:
    assert refusal(recipe(seed=seed)) == "The recipe's seed: a seed is a whole number from -2**63 to 2**63 - 1."
    wrong = {"kind": "symmetric", "seed": seed}
    assert "teachers.0.wrong.seed: a seed is" in refusal(recipe(teachers=[LLM | {"wrong": wrong}]))

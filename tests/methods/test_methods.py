"""The one table from names to functions."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from distrust.errors import RecipeError
from distrust.methods import METHODS, find
from distrust.methods.distill import Distill
from distrust.recipe import Strict


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_checked_options_and_says_what_it_does(name: str) -> None:
    method = METHODS[name]
    assert issubclass(method.options, Strict) and method.about
    assert find(name, {}) == (method, method.options())
    assert all(field.description for field in method.options.model_fields.values())
    assert list(inspect.signature(method.run).parameters) == ["run", "options"]


def test_options_are_read() -> None:
    assert find("distill", {"gold_weight": 2, "targets": "hard"})[1] == Distill(gold_weight=2.0, targets="hard")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("distil", {}, "no method 'distil'; did you mean 'distill'?"),
        ("goldonly", {}, "did you mean 'gold-only'?"),
        ("distill", {"temprature": 2}, "unknown key 'method.options.temprature'; did you mean 'temperature'?"),
        ("distill", {"temperature": 0}, "method.options.temperature"),
        ("distill", {"temperature": float("nan")}, "method.options.temperature"),
        ("distill", {"temperature": 2, "targets": "hard"}, "method.options: temperature softens what teachers say"),
        ("distill", {"gold_weight": -1}, "method.options.gold_weight"),
        ("distill", {"trust": "blind"}, "method.options.trust"),
        ("distill", {"shrinkage": 0}, "method.options.shrinkage"),
        ("gold-only", {"min_steps": 0}, "method.options.min_steps"),
        ("gold-only", {"temperature": 1}, "legal are min_steps"),
    ],
)
def test_mistakes_are_refused_by_name(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        find(name, options)
    assert words in str(refused.value) and "\n" not in str(refused.value)

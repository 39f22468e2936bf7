"""A legal recipe as its YAML would be, and what a wrong one is told."""

from __future__ import annotations

from typing import Any

import pytest

from distrust.errors import RecipeError
from distrust.recipe_file import parse_recipe

POOL: dict[str, Any] = {"pool": {"path": "pool.csv"}}
LLM: dict[str, Any] = {"kind": "endpoint", "name": "llm", "base_url": "http://127.0.0.1:1/v1", "model": "m"}


def recipe(**more: Any) -> dict[str, Any]:
    return {"data": POOL, **more}


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(raw)
    return str(caught.value)

"""The part of a recipe that says which method, or which methods beside each other.

Knows the shape of it. Knows nothing of what methods there are, or of their options.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from distrust.recipe.strict import Strict


class Method(Strict):
    """Which method, and its options; `distrust methods` lists them."""

    name: str = Field("distill", description="one of those that `distrust methods` lists")
    options: dict[str, Any] = Field(default_factory=dict, description="the method's own keys")


class Contender(Method):
    """A method of a comparison."""

    called: str | None = Field(None, min_length=1, description="what the comparison calls it; default: its name")


class Compare(Strict):
    """What `distrust compare` carries out beside each other."""

    methods: list[Contender] = Field(default_factory=list, description="each with a `name`, `options`, and `called`")
    seeds: int | list[int] = Field(5, description="how many, from the recipe's seed on; or which. A seed pairs the methods")
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, description="any key of the recipe and its values, such as `{gold.size: [25, 50, 100]}`"
    )

"""What a comparison consists of: cells, each one method, one setting and one seed, as a recipe of its own.

Knows recipes. Does not know how a cell is carried out, or what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from distrust.errors import RecipeError
from distrust.files import file_name, fingerprint
from distrust.methods import find
from distrust.recipe import Compare, Contender, Recipe
from distrust.recipe_file import parse_recipe, put
from distrust.secrets import expand

MOST_SEEDS = 1000  # of a comparison; a number far above it is a slip of the finger, and would not fit in memory


@dataclass(frozen=True, eq=False)
class Cell:
    """One run of a comparison."""

    method: str  # what the comparison calls it
    setting: str  # "gold.size=25, budget.calls=100"; "" where the comparison has no grid
    values: Mapping[str, Any]  # the setting's, by key
    seed: int
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Where its run lives."""
        return Path(expand(self.recipe.output_dir))

    @property
    def key(self) -> str:
        """Changes with anything in its recipe but where it lives."""
        return fingerprint(self.recipe.model_dump(mode="json", exclude={"output_dir", "compare"}))

    @property
    def shown(self) -> str:
        """The cell in words."""
        return ", ".join([self.method, *([self.setting] if self.setting else []), f"seed {self.seed}"])


def chosen(recipe: Recipe, methods: Sequence[str] = (), seeds: int | None = None) -> Recipe:
    """The recipe with what the command line says in its `compare` block: it then says by itself what there is to run.

    Args:
        recipe: with its `compare` block, or without one.
        methods: names that take the place of the block's methods.
        seeds: so many, from the recipe's seed on, in place of the block's.
    """
    said: dict[str, Any] = {"methods": [Contender(name=name) for name in methods]} if methods else {}
    if seeds is not None:
        said["seeds"] = seeds
    return recipe.model_copy(update={"compare": (recipe.compare or Compare()).model_copy(update=said)})


def cells(recipe: Recipe) -> list[Cell]:
    """Every cell of a recipe's comparison, seed by seed, so that an interrupted one has few seeds of all methods.

    Raises:
        RecipeError: nothing to judge on, fewer than two cells to compare, a method called twice, a key that no recipe has.
    """
    if recipe.data.test is None:
        raise RecipeError("A comparison is judged on `data.test`; give one.")
    block = recipe.compare or Compare()
    names = [one.called or one.name for one in block.methods]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RecipeError(f"Two methods of the comparison are called {twice!r}; give one of them another name by `called`.")
    settings = _settings(block.grid)
    if len(names) * len(settings) < 2:
        raise RecipeError("A comparison takes two methods or more: --methods distill,peer-advised, or a `compare` block.")
    return [
        _cell(recipe, one, name, setting, values, seed)
        for seed in _seeds(recipe, block)
        for setting, values in settings.items()
        for one, name in zip(block.methods, names, strict=True)
    ]


def _seeds(recipe: Recipe, block: Compare) -> list[int]:
    wanted = block.seeds
    if isinstance(wanted, int) and wanted > MOST_SEEDS:
        raise RecipeError(f"The comparison's seeds are {wanted}; {MOST_SEEDS} are the most that it carries out.")
    found = list(range(recipe.seed, recipe.seed + wanted)) if isinstance(wanted, int) else wanted
    if not found or len(set(found)) < len(found):
        raise RecipeError(f"The comparison's seeds are {wanted}; legal is a number above 0, or a list without repetition.")
    return found


def _settings(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Every combination of the grid's values, by what it is called; one empty setting without a grid."""
    found = {}
    for values in product(*grid.values()):
        combined = dict(zip(grid, values, strict=True))
        found[", ".join(f"{key}={value}" for key, value in combined.items())] = combined
    return found


def _cell(recipe: Recipe, one: Contender, name: str, setting: str, values: Mapping[str, Any], seed: int) -> Cell:
    raw = deepcopy(recipe.model_dump(mode="json", exclude={"compare"}, exclude_unset=True))
    folder = [f"{file_name(part)}-{fingerprint(part)[:6]}" for part in (setting, name) if part]
    own = recipe.method.options if recipe.method.name == one.name else {}
    raw |= {"method": {"name": one.name, "options": own | one.options}, "seed": seed}
    for key, value in values.items():
        put(raw, key, value, "compare.grid")
    raw["output_dir"] = str(Path(recipe.output_dir, "cells", *folder, f"seed-{seed}"))
    made = parse_recipe(raw)
    find(made.method.name, made.method.options)
    return Cell(name, setting, values, seed, made)

"""Methods: one paper (or baseline), one file, a short function that reads like the algorithm.

The only place that knows a paper. A method turns a `Run` and its options into a trained student, and knows nothing of
checkpoints, progress bars, devices or money.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from distrust.errors import RecipeError, nearest
from distrust.methods.distill import Distill, distill
from distrust.methods.gold_only import GoldOnly, gold_only
from distrust.recipe import Strict
from distrust.recipe_file import sentence
from distrust.run import Run
from distrust.students import Student


@dataclass(frozen=True)
class Method:
    """A method's function, the model of its options, and one line about it."""

    run: Callable[[Run, Any], Student]
    options: type[Strict]
    about: str


METHODS = {
    "distill": Method(distill, Distill, "learn from what the teachers say, and from gold; the baseline of all others"),
    "gold-only": Method(gold_only, GoldOnly, "learn from the gold labels alone, as if there were no teacher"),
}


def find(name: str, options: dict[str, Any]) -> tuple[Method, Strict]:
    """A method by name and its options, checked.

    Raises:
        RecipeError: no such method, or an option it does not have; the nearest right one is named.
    """
    if name not in METHODS:
        raise RecipeError(f"There is no method {name!r}; {nearest(name, METHODS)}.")
    method = METHODS[name]
    try:
        return method, method.options.model_validate(options)
    except ValidationError as error:
        raise RecipeError(sentence(error, method.options, "method.options")) from None

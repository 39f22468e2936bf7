"""`--defer-below`, shared by predict and evaluate: which teacher is asked, through which ledger, and what that cost.

Knows the recipe's teachers. Does not know who asks back or why: `defer.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import Tensor

    from distrust.data import Items
    from distrust.defer import Deferred
    from distrust.labels import LabelSpace
    from distrust.recipe import Asked
    from distrust.teachers import Teacher

BELOW = Annotated[
    float | None, typer.Option("--defer-below", metavar="CONFIDENCE", help="ask the teacher where the student is less sure")
]
RECIPE = Annotated[Path | None, typer.Option(help="the recipe whose teacher, ledger and budget serve --defer-below")]
TEACHER = Annotated[str | None, typer.Option(help="which of the recipe's teachers; needed where it has several")]


@dataclass(frozen=True)
class Deferral:
    """What the command line says of deferring."""

    below: float
    recipe: Path
    teacher: str | None


@dataclass(frozen=True)
class Cost:
    """Of this round of asking; what the ledger had already costs nothing again."""

    calls: int
    money: float | None  # None is "unknown"
    ended: str


def deferral(below: float | None, recipe: Path | None, teacher: str | None) -> Deferral | None:
    """The options together, None without --defer-below. Raises RecipeError for one that lacks or misses another."""
    from distrust.errors import RecipeError

    if below is None:
        if recipe is not None or teacher is not None:
            raise RecipeError("--recipe and --teacher serve --defer-below, which is missing; give, say, --defer-below 0.8.")
        return None
    if not 0 <= below <= 1:
        raise RecipeError(f"--defer-below is {below}; it is a confidence from 0 to 1.")
    if recipe is None:
        raise RecipeError("--defer-below asks a teacher; name the recipe that describes it: --recipe recipe.yaml.")
    return Deferral(below, recipe, teacher)


def ask_back(asked: Deferral, items: Items, space: LabelSpace, chances: Tensor) -> tuple[Deferred, Cost]:
    """Ask the teacher about the items (N,) of which the student's chances (N, C) are unsure."""
    from distrust.defer import defer
    from distrust.recipe import Endpoint, Recorded

    with _teacher(asked) as (teacher, options):
        spending = getattr(teacher, "spending", None)
        before = spending() if spending else None
        deferred = defer(items, space, chances, teacher.name, teacher.ask, asked.below)
        if spending is None or before is None:
            price = options.price.per_call if isinstance(options, Recorded | Endpoint) else 0.0
            answered = int(deferred.answered.sum())
            return deferred, Cost(0, None if price is None else price * answered, "complete")
        after = spending()
        known = after.money is not None and before.money is not None
        return deferred, Cost(after.calls - before.calls, after.money - before.money if known else None, after.ended)


def unquoted(asked: Deferral, items: Items) -> list[int]:
    """Rows of the items (N,) that the teacher's prompt does not quote: it was told the labels of the others.

    Raises:
        DataError: the prompt quotes every item, so that none is left to judge by.
    """
    from distrust.build import few_shot, read_task
    from distrust.errors import DataError
    from distrust.recipe import Endpoint
    from distrust.recipe_file import load_recipe

    recipe = load_recipe(asked.recipe)
    options = _choose(recipe.teachers, asked)
    if not isinstance(options, Endpoint) or not options.few_shot:
        return list(range(len(items)))
    quoted = {text for text, _ in few_shot(read_task(recipe), options)}
    rows = [row for row in range(len(items)) if items.text(row) not in quoted]
    if not rows:
        raise DataError(f"The prompt of {options.name} quotes every one of these items, so none is left to judge by.")
    return rows


@contextmanager
def _teacher(asked: Deferral) -> Iterator[tuple[Teacher, Asked]]:
    """The teacher to ask, beside the ledger of the recipe's run, so that nothing is bought twice or beyond its budget."""
    from distrust.build import build_teacher, ledger, read_task
    from distrust.cli.progress import Progress
    from distrust.recipe_file import load_recipe
    from distrust.secrets import expand

    recipe = load_recipe(asked.recipe)
    options = _choose(recipe.teachers, asked)
    task = read_task(recipe)
    with ledger(recipe, Path(expand(recipe.output_dir))) as book, Progress() as progress:
        yield build_teacher(options, task, book, recipe, progress.buying), options


def _choose(teachers: Sequence[Asked], asked: Deferral) -> Asked:
    from distrust.errors import RecipeError, nearest

    names = [one.name for one in teachers]
    if not names:
        raise RecipeError(f"{asked.recipe} names no teacher to ask.")
    if asked.teacher is None and len(names) > 1:
        raise RecipeError(f"{asked.recipe} has several teachers; choose one by --teacher: {', '.join(names)}.")
    name = names[0] if asked.teacher is None else asked.teacher
    if name not in names:
        raise RecipeError(f"{asked.recipe} has no teacher {name!r}; {nearest(name, names, say='it has')}.")
    return teachers[names.index(name)]


def told(deferred: Deferred, cost: Cost) -> str:
    """One line about what was asked, answered and paid."""
    from distrust.secrets import show

    asked, answered = int(deferred.asked.sum()), int(deferred.answered.sum())
    name = show(deferred.teacher)
    said = f"{asked} of {len(deferred.asked)} items were deferred to {name}"
    if asked > answered:
        said += f", which had no usable answer to {asked - answered}: there the student's label stands"
    bought = f"{cost.calls} new calls, " if cost.calls else ""
    said += f"; {bought}cost {'unknown' if cost.money is None else f'{cost.money:.4f}'}."
    return said if cost.ended == "complete" else f"{said} Buying ended at {cost.ended}."

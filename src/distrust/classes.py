"""Which classes a task has where its recipe lists none, and which ones it may lack.

Knows what gold, teachers and the pool's label column name. Knows nothing of items, or of who is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from distrust.data import Items, load_table
from distrust.errors import DataError
from distrust.labels import ABSTAIN, LabelSpace
from distrust.recipe import Recipe, Recorded
from distrust.secrets import expand

SHOWN = 5  # classes that a sentence names
LENGTH = 30  # characters of such a name


def classes(recipe: Recipe, pool: Items, gold: Sequence[str], extra: Sequence[LabelSpace]) -> LabelSpace:
    """The classes: as listed, else those of gold and local classifiers, else those of recorded answers.

    Never those of the test set, which nothing but the final evaluation sees.

    Raises:
        DataError: fewer than two classes.
    """
    if recipe.labels is not None:
        return LabelSpace(tuple(recipe.labels))
    named = sorted(set(gold))
    spaces = [LabelSpace(tuple(named))] if named else []
    union = LabelSpace.union([*spaces, *extra]) if spaces or extra else None
    if union is not None and len(union) > 1:
        return union
    said = {name for teacher in _recorded(recipe) for name in _claimed(teacher, pool)}
    if len(said) < 2:
        raise DataError("The recipe does not say which classes there are; list them under `labels`.")
    return LabelSpace(tuple(sorted(said)))


def lacking(recipe: Recipe, pool: Items, space: LabelSpace, labelled: Iterable[str]) -> list[str]:
    """A sentence on what teachers claim and people label that is no class of the task, unless the recipe lists its classes.

    Args:
        labelled: what people say of any item, drawn as gold or not.
    """
    if recipe.labels is not None:
        return []
    who = [("labelled", Counter(labelled))]
    who += [(f"claimed by {teacher.name}", Counter(_claimed(teacher, pool))) for teacher in _recorded(recipe)]
    said: dict[str, str] = {}
    for what, names in who:
        for name, times in sorted(names.items(), key=lambda one: (-one[1], one[0])):
            if space.find(name) == ABSTAIN:
                said.setdefault(name, f"{name[:LENGTH]!r} ({what}: {times})")
    if not said:
        return []
    more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return [
        f"The task has {len(space)} classes, since the recipe lists none, and these are not among them: "
        f"{', '.join([*said.values()][:SHOWN])}{more}. "
        "Where they are classes, list every class under `labels`; `distrust init` writes such a list."
    ]


def _recorded(recipe: Recipe) -> list[Recorded]:
    return [teacher for teacher in recipe.teachers if isinstance(teacher, Recorded)]


def _claimed(teacher: Recorded, pool: Items) -> list[str]:
    """Every answer of a teacher's column, in the task's spelling; lists hold sampled ones."""
    table = pool.columns if teacher.path is None else load_table(expand(teacher.path))
    cells = table.get(teacher.column, [])
    said = [str(one) for cell in cells for one in (cell if isinstance(cell, (list, tuple)) else [cell]) if one is not None]
    return [teacher.labels.get(one, one) for one in said if one.strip()]

"""What `auto` would try, from a recipe and its data alone: nobody is asked, and nothing is trained.

Knows recipes and what methods need. Local teachers are loaded, since only they know their classes.
"""

from __future__ import annotations

from distrust.build import build_teacher, known, read_task
from distrust.methods import find
from distrust.methods.auto import Auto
from distrust.methods.auto_suited import LEAST_GOLD, safe, situation, wanted, why_not
from distrust.recipe import Classifier, Endpoint, Recipe, Recorded


def tries(recipe: Recipe) -> list[tuple[str, str]]:
    """Each candidate, and whether it would be tried, or taken, or why not.

    Raises:
        DistrustError: whatever `run` would refuse in data, teachers and options.
    """
    task = read_task(recipe)
    options = find(recipe.method.name, recipe.method.options)[1]
    assert isinstance(options, Auto), "asked only of a recipe whose method is auto"
    spaces = [
        known(one, task.space) if isinstance(one, Recorded | Endpoint) else build_teacher(one, task, None, recipe).space
        for one in recipe.teachers
    ]
    heads = all(isinstance(one, Classifier) and one.feature is not None for one in recipe.teachers)
    gold = len(task.gold.part("choose"))
    here = situation(spaces, None if task.answers is not None else task.space, gold, heads)
    candidates = wanted(options.candidates, here.open_answers)
    if here.gold < LEAST_GOLD or not here.teachers:
        chosen, why = safe(here)
        return [(chosen.called, f"taken: {why}")]
    return [(one.called, why_not(one, here) or f"would be tried on {here.gold} gold items") for one in candidates]

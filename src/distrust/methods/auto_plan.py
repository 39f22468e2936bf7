"""What `auto` would try, from a recipe and its data alone: nobody is asked, and nothing is trained.

Knows recipes and what methods need. Local teachers are loaded, since only they know their classes.
"""

from __future__ import annotations

from distrust.build import build_teacher, known, read_task
from distrust.methods import find
from distrust.methods.auto import Auto
from distrust.methods.auto_suited import BASELINE, LEAST_GOLD, fallback, safe, situation, wanted, why_not
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
    here = situation(spaces, None if task.answers is not None else task.space, task.gold, heads)
    candidates = wanted(options.candidates, here.open_answers)
    if here.gold < LEAST_GOLD or not here.teachers:
        chosen, why = safe(here)
        return [(chosen.called, f"taken: {why}")]
    reasons = {one.called: why_not(one, here) for one in candidates}
    otherwise = fallback(here).called
    safe_choice = otherwise if reasons.get(otherwise, "not named") is None else BASELINE.called
    said = {name: f"would be tried on {here.gold} gold items" for name, reason in reasons.items() if reason is None}
    said[safe_choice] += "; taken where nothing is better beyond noise"
    return [(name, said.get(name) or str(reason)) for name, reason in reasons.items()]

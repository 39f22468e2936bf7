"""gold-only: what a student learns without any teacher. The reference every method must beat."""

from __future__ import annotations

from distrust.errors import RunError
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class GoldOnly(Strict):
    """No options."""


def gold_only(run: Run, options: GoldOnly) -> Student:
    """Train on the gold labels alone. Raises RunError where there is no gold to train on."""
    gold = run.gold_labelled()
    if not len(gold):
        raise RunError("The method gold-only needs gold labels, and the recipe gives none for training.")
    return run.fit("gold-only", gold, epochs=run.options.num_train_epochs)

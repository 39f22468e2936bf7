"""gold-only: what a student learns without any teacher. The reference every method must beat."""

from __future__ import annotations

import math

from pydantic import Field

from distrust.errors import RunError
from distrust.labelled import Labelled
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student


class GoldOnly(Strict):
    """Options of gold-only."""

    min_steps: int = Field(300, gt=0, description="train at least so many steps: few labels make short epochs")


def gold_only(run: Run, options: GoldOnly) -> Student:
    """Train on the gold labels alone. Raises RunError where there is no gold to train on."""
    gold = run.gold_labelled()
    if not len(gold):
        raise RunError("The method gold-only needs gold labels, and the recipe gives none for training.")
    return learn_alone(run, "gold-only", gold, options)


def learn_alone(run: Run, name: str, gold: Labelled, options: GoldOnly) -> Student:
    """A student of some gold labels and nothing else, as the stage `name`."""
    per_epoch = math.ceil(len(gold) / run.options.per_device_train_batch_size)
    epochs = max(run.options.num_train_epochs, math.ceil(options.min_steps / per_epoch))
    return run.fit(name, gold, options=options, epochs=epochs)

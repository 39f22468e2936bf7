"""The learning curve of human labels: students of nothing but so many of them, drawn one number within the next.

Knows labelled items and numbers. Does not know the run's gold, teachers, or the test items that the students are judged on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch import Tensor

from distrust.data import Items
from distrust.labelled import from_gold
from distrust.methods.gold_only import GoldOnly, learn_alone
from distrust.run import Run
from distrust.students import Student


def students_of(run: Run, items: Items, labels: Tensor, numbers: Sequence[int]) -> Iterator[tuple[int, Student]]:
    """A student of each number of labels, trained as `gold-only` is, each a stage of the run.

    Args:
        items, labels: what may be drawn, and its labels (n,): by the run's seed, the fewer among the more.
        numbers: of labels, rising, as many as there are at most.
    """
    order = random.Random(f"worth/{run.seed}").sample(range(len(items)), len(items))
    for number in numbers:
        rows = sorted(order[:number])
        name = f"worth-{number}"
        student = learn_alone(run, name, from_gold(items.select(rows), labels[rows], len(run.space)), GoldOnly())
        del run.fits[name]  # the report logs how the method learned, not how what it is measured by did
        yield number, student
